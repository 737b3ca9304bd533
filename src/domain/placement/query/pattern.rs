//! Regular expressions in queries: what Java's and Rust's have in common.
//!
//! ECS reads them with `java.util.regex.Pattern`, we with the `regex` crate, which takes no longer the worse an expression is.
//! What only Java can do is refused, and so is everything that both read, but differently: a constraint that means something
//! else than it did on ECS is worse than one that has to be rewritten. `\d`, `\w`, `\s`, `\b` and `(?i)` are about ASCII alone,
//! as in Java; the values they meet, labels and names, hold nothing else.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use regex::bytes::{Regex, RegexBuilder};

/// How much memory one compiled expression may take. ECS's examples take a few hundred bytes.
const COMPILED_BYTES_MAX: usize = 64 * 1024;

/// A regular expression that a whole value has to match.
#[derive(Clone)]
pub struct Pattern {
    source: String,
    regex: Regex,
}

impl Pattern {
    /// Reads an expression.
    pub fn new(source: &str) -> Result<Self, PatternError> {
        refuse_differences(source)?;
        // By itself first: within the anchors, `a)|(b` would be one.
        compile(source)?;
        Ok(Self { source: source.to_owned(), regex: compile(&format!(r"\A(?:{source})\z"))? })
    }

    /// Whether the whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text.as_bytes())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.source)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

/// Why a regular expression is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// `(?=`, `(?!`, `(?<=`, `(?<!`.
    #[error("look-around is not supported; combine tests with and, or and not")]
    LookAround,
    /// `(?>`.
    #[error("an atomic group is not supported; write (?:…)")]
    AtomicGroup,
    /// `*+`, `++`, `?+`, `}+`.
    #[error("a possessive quantifier is not supported; leave out the + after the quantifier")]
    Possessive,
    /// `**`, `+*`.
    #[error("a quantifier repeats nothing; put what it repeats in (?:…)")]
    DoubleQuantifier,
    /// `\1`, `\k<name>`.
    #[error("a back-reference is not supported; spell out what it repeats")]
    BackReference,
    /// An escape that only one of the two has.
    #[error("\\{0} is not supported; spell out the characters it means")]
    Escape(char),
    /// `(?x)`, `(?u)` and the like.
    #[error("(?{0} is not supported; only (?:, (?<name> and the flags i, m and s are")]
    Group(String),
    /// `[a[b]]`, `[a&&b]`, `[[:alpha:]]`, `[a--b]`.
    #[error("set operations within brackets are not supported; list the characters, and write \\[ for a bracket")]
    SetOperation,
    /// Neither would read it.
    #[error("{0}")]
    Syntax(String),
    /// It would take too much memory.
    #[error("the regular expression is too large; use smaller repetition counts")]
    TooLarge,
}

fn compile(source: &str) -> Result<Regex, PatternError> {
    let compiled = RegexBuilder::new(source).unicode(false).size_limit(COMPILED_BYTES_MAX).build();
    compiled.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => PatternError::TooLarge,
        // The last line says what is wrong; those before it draw an arrow under the place.
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or(&text);
            PatternError::Syntax(last.trim_start_matches("error: ").to_owned())
        }
    })
}

/// Goes through an expression for what Java and Rust read differently.
fn refuse_differences(source: &str) -> Result<(), PatternError> {
    let mut rest = source.chars().peekable();
    // Whether what was read last is a quantifier, so that another one would qualify it.
    let mut quantified = false;
    while let Some(c) = rest.next() {
        quantified = match c {
            '\\' => escape(&mut rest).map(|()| false)?,
            '[' => brackets(&mut rest).map(|()| false)?,
            '(' if rest.next_if_eq(&'?').is_some() => group(&mut rest).map(|()| false)?,
            '+' if quantified => return Err(PatternError::Possessive),
            '*' | '?' | '{' if quantified => return Err(PatternError::DoubleQuantifier),
            '*' | '+' | '?' | '}' => {
                // `*?` and the like ask for the shortest match, which makes no difference to whether there is one.
                rest.next_if_eq(&'?');
                true
            }
            _ => false,
        };
    }
    Ok(())
}

fn escape(rest: &mut Peekable<Chars<'_>>) -> Result<(), PatternError> {
    match rest.next() {
        Some('b') if rest.peek() == Some(&'{') => Err(PatternError::Escape('b')),
        Some('A' | 'B' | 'D' | 'S' | 'W' | 'b' | 'd' | 'n' | 'r' | 's' | 't' | 'w' | 'z') | None => Ok(()),
        Some('1'..='9' | 'k') => Err(PatternError::BackReference),
        // `\<` and `\>` are plain characters to Java and the ends of words to Rust.
        Some(c) if c.is_alphanumeric() || matches!(c, '<' | '>') => Err(PatternError::Escape(c)),
        Some(_) => Ok(()),
    }
}

fn brackets(rest: &mut Peekable<Chars<'_>>) -> Result<(), PatternError> {
    rest.next_if_eq(&'^');
    // Right after the opening one, a closing bracket is a plain character.
    rest.next_if_eq(&']');
    while let Some(c) = rest.next() {
        match c {
            ']' => break,
            '\\' => escape(rest)?,
            '[' => return Err(PatternError::SetOperation),
            '&' | '-' | '~' if rest.peek() == Some(&c) => return Err(PatternError::SetOperation),
            _ => {}
        }
    }
    Ok(())
}

/// What follows `(?`.
fn group(rest: &mut Peekable<Chars<'_>>) -> Result<(), PatternError> {
    let mut read = String::new();
    for c in rest.by_ref() {
        match (read.as_str(), c) {
            ("" | "<", '=' | '!') => return Err(PatternError::LookAround),
            ("", '>') => return Err(PatternError::AtomicGroup),
            ("<", c) if c.is_ascii_alphabetic() => return Ok(()),
            (flags, ':' | ')') if flags != "<" => return Ok(()),
            ("", '<') | (_, 'i' | 'm' | 's' | '-') if read != "<" => read.push(c),
            _ => {
                read.push(c);
                return Err(PatternError::Group(read));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_value_has_to_match() {
        let matches = |pattern: &str, text: &str| Pattern::new(pattern).unwrap().matches(text);
        assert!(matches("g2.*", "g2.2xlarge"));
        assert!(!matches("g2", "g2.2xlarge") && !matches("2xlarge", "g2.2xlarge"));
        assert!(matches("a|ab", "ab"), "the alternative that matches all of it counts");
        assert!(matches("", "") && !matches("", "a"));
    }

    #[test]
    fn what_java_and_rust_read_alike_is_taken() {
        for (pattern, text) in [
            (r"[a-c]\d{2,3}", "b42"),
            (r"(?i)PROD-(?:EU|US)", "prod-eu"),
            (r"(?<zone>[a-z]+-\w+)", "eu-central_1"),
            (r"[]^-]+\.[\w.-]*?", "]-.a"),
            (r"\Aa+?\z", "aaa"),
            (r"(?i:A)b", "ab"),
            (r"x{2}y", "xxy"),
            (r"\[a\]", "[a]"),
        ] {
            assert_eq!(Pattern::new(pattern).map(|pattern| pattern.matches(text)), Ok(true), "{pattern}");
        }
    }

    #[test]
    fn classes_are_about_ascii_alone_as_in_java() {
        assert!(!Pattern::new(r"\w").unwrap().matches("é"));
        assert!(!Pattern::new("(?i)k").unwrap().matches("\u{212a}"));
    }

    #[test]
    fn what_they_read_differently_is_refused_with_what_to_do() {
        let refused = |pattern: &str| Pattern::new(pattern).unwrap_err();
        for pattern in ["(?=a)", "a(?!b)", "(?<=a)b", "(?<!a)b"] {
            assert_eq!(refused(pattern), PatternError::LookAround, "{pattern}");
        }
        for pattern in ["a*+", "a++", "a?+", "a{2}+"] {
            assert_eq!(refused(pattern), PatternError::Possessive, "{pattern}");
        }
        for pattern in ["a**", "a+*", "a{2}{3}", "a*??"] {
            assert_eq!(refused(pattern), PatternError::DoubleQuantifier, "{pattern}");
        }
        for pattern in ["[a[b]]", "[a-c&&b]", "[[:alpha:]]", "[a--b]", "[a~~b]"] {
            assert_eq!(refused(pattern), PatternError::SetOperation, "{pattern}");
        }
        for pattern in [r"(a)\1", r"(?<x>a)\k<x>"] {
            assert_eq!(refused(pattern), PatternError::BackReference, "{pattern}");
        }
        for (pattern, escape) in [(r"\Qa\E", 'Q'), (r"\p{Alpha}", 'p'), (r"\v", 'v'), (r"\<a", '<'), (r"[\h]", 'h')] {
            assert_eq!(refused(pattern), PatternError::Escape(escape), "{pattern}");
        }
        assert_eq!(refused(r"a\b{start}"), PatternError::Escape('b'));
        assert_eq!(refused("(?>a)"), PatternError::AtomicGroup);
        for (pattern, group) in [("(?x)a", "x"), ("(?U)a", "U"), ("(?P<n>a)", "P"), ("(?i-u:a)", "i-u")] {
            assert_eq!(refused(pattern), PatternError::Group(group.to_owned()), "{pattern}");
        }
    }

    #[test]
    fn what_neither_reads_is_refused_in_one_line() {
        assert_eq!(Pattern::new("a)|(b"), Err(PatternError::Syntax("unopened group".to_owned())));
        assert_eq!(Pattern::new("(a"), Err(PatternError::Syntax("unclosed group".to_owned())));
        assert_eq!(Pattern::new("((a{500}){500}){500}"), Err(PatternError::TooLarge));
    }
}
