//! `$` in commands and values.

/// Kubernetes replaces `$(NAME)` in command, args, environment and probe commands, and turns `$$` into `$`; ECS and Docker do
/// neither. Doubling every `$` gives the container what the task definition says.
pub(super) fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// The same for a list.
pub(super) fn literals(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| literal(text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kubelet makes of a text (`third_party/forked/golang/expansion`), for variables that are not defined.
    fn expanded(text: &str) -> String {
        let mut out = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match (c, chars.peek()) {
                ('$', Some('$')) => {
                    chars.next();
                    out.push('$');
                }
                ('$', Some('(')) if text.contains(')') => panic!("a reference: {text}"),
                _ => out.push(c),
            }
        }
        out
    }

    #[test]
    fn a_container_gets_what_the_task_definition_says() {
        for text in ["$(PATH)", "$$", "$", "a$b", "${HOME}", "$$(X)", "$5", "no dollar", "$$$(A)$"] {
            assert_eq!(expanded(&literal(text)), text);
        }
    }
}
