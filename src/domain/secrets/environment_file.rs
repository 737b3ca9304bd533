//! Files of environment variables, read as the ECS agent reads them.
//!
//! Every line is `NAME=VALUE` up to its end. Nothing is trimmed and nothing is special: quotes, backslashes and `$` are part of the
//! value, `export ` is part of the name. A `#` in the first column makes a comment. A line without `=`, without name or without
//! value sets nothing.

/// A variable that a file sets. It has no `Debug`: the value may be a secret, and in a file that is none, so may the name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Variable<'a> {
    /// The number of the line, from 1.
    pub(super) line: usize,
    /// The name.
    pub(super) name: &'a str,
    /// The value.
    pub(super) value: &'a str,
}

/// The variables of a file, in its order. Of two with one name the later counts.
pub(super) fn parse(text: &str) -> impl Iterator<Item = Variable<'_>> {
    let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    lines.zip(1..).filter(|(line, _)| !line.starts_with('#')).filter_map(|(text, line)| {
        let (name, value) = text.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty())?;
        Some(Variable { line, name, value })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Vec<(usize, &str, &str)> {
        parse(text).map(|variable| (variable.line, variable.name, variable.value)).collect()
    }

    #[test]
    fn a_line_is_a_name_and_a_value() {
        for (sentence, text, expected) in [
            (
                "each line in an environment file contains an environment variable in VARIABLE=VALUE format",
                "A=1\nB=2",
                vec![(1, "A", "1"), (2, "B", "2")],
            ),
            ("lines beginning with # are treated as comments and are ignored", "#A=1\nB=2", vec![(2, "B", "2")]),
            ("in the first column only", " #A=1\nB=2#3", vec![(1, " #A", "1"), (2, "B", "2#3")]),
            (
                "spaces or quotation marks are included as part of the values",
                "A= \"1\" '2' ",
                vec![(1, "A", " \"1\" '2' ")],
            ),
            ("the first = ends the name", "A=b=c==", vec![(1, "A", "b=c==")]),
            ("nothing is expanded or escaped", "A=$B \\n ${C}", vec![(1, "A", "$B \\n ${C}")]),
            ("a line without = sets nothing", "A\n\nB=2", vec![(3, "B", "2")]),
            ("nor does one without name or value", "=1\nA=\nB=2", vec![(3, "B", "2")]),
            ("export is part of the name", "export A=1", vec![(1, "export A", "1")]),
            ("lines may end as on Windows", "A=1\r\nB=2\r\n", vec![(1, "A", "1"), (2, "B", "2")]),
            ("a lone carriage return is part of the value", "A=1\r2\r\r\n", vec![(1, "A", "1\r2\r")]),
            ("a name may come again", "A=1\nA=2", vec![(1, "A", "1"), (2, "A", "2")]),
            ("an empty file sets nothing", "", vec![]),
        ] {
            assert_eq!(pairs(text), expected, "{sentence}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_every_variable_stands_in_its_line(text in r"([A#= \r\n\\'$é]{0,8}|.)*") {
            for (line, name, value) in pairs(&text) {
                let found = text.split('\n').zip(1..).find(|(_, n)| *n == line).unwrap().0;
                prop_assert_eq!(found.strip_suffix('\r').unwrap_or(found), format!("{name}={value}"));
                prop_assert!(!name.is_empty() && !value.is_empty() && !name.contains('=') && !name.starts_with('#'));
            }
        }

        #[test]
        fn what_is_written_down_is_read_back(
            variables in prop::collection::vec(("[^#=\n\r][^=\n]{0,10}", "[^\n]{0,10}[^\n\r]"), 0..10),
            windows in any::<bool>(),
        ) {
            let end = if windows { "\r\n" } else { "\n" };
            let lines: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}{end}")).collect();
            let text = lines.concat();
            let read: Vec<_> = pairs(&text).into_iter().map(|(_, name, value)| (name.to_owned(), value.to_owned())).collect();
            prop_assert_eq!(read, variables);
        }
    }
}
