//! Reading a query from left to right: words, signs and values.

use crate::domain::placement::node::AttributeName;
use crate::domain::placement::query::error::{QueryError, QueryProblem};

/// How much of the text an error quotes.
const QUOTED_MAX: usize = 20;

/// A place in the text of a query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, rest: text }
    }

    /// The place, counted in characters from 1.
    pub(super) fn position(&self) -> usize {
        let left = self.rest.chars().count();
        self.text.chars().count().saturating_sub(left).saturating_add(1)
    }

    pub(super) fn error(&self, problem: QueryProblem) -> QueryError {
        QueryError { position: self.position(), problem }
    }

    /// What comes next, for an error.
    pub(super) fn found(&self) -> String {
        let mut shown: String = self.rest.chars().take(QUOTED_MAX).collect();
        if shown.len() < self.rest.len() {
            shown.push('…');
        }
        if shown.is_empty() { "the end".to_owned() } else { format!("{shown:?}") }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Takes a sign if it comes next.
    pub(super) fn take_sign(&mut self, sign: &str) -> bool {
        let rest = self.rest.strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Takes a word of the language if it comes next, whole and in either case.
    pub(super) fn take_keyword(&mut self, keyword: &str) -> bool {
        let mut ahead = *self;
        let found = ahead.take_word().eq_ignore_ascii_case(keyword);
        if found {
            *self = ahead;
        }
        found
    }

    /// Takes what may be a subject or an operator's name; empty where neither begins.
    pub(super) fn take_word(&mut self) -> &'a str {
        self.take_while(|c| AttributeName::allows(c) || c == ':')
    }

    /// Takes a value, quoted or not. `None` where none begins.
    pub(super) fn take_value(&mut self) -> Result<Option<String>, QueryError> {
        match self.rest.chars().next() {
            Some(quote @ ('\'' | '"')) => self.take_quoted(quote).map(Some),
            Some('=' | '!' | '<' | '>' | '~') | None => Ok(None),
            Some(_) => self.take_bare(),
        }
    }

    fn take_bare(&mut self) -> Result<Option<String>, QueryError> {
        let mut ahead = *self;
        let end = |rest: &str, c: char| ends_bare(c) || rest.starts_with("&&") || rest.starts_with("||");
        while let Some(c) = ahead.rest.chars().next().filter(|c| !end(ahead.rest, *c)) {
            ahead.rest = ahead.rest.get(c.len_utf8()..).unwrap_or_default();
        }
        let length = self.rest.len().saturating_sub(ahead.rest.len());
        let value = self.rest.get(..length).unwrap_or_default();
        match ahead.rest.chars().next() {
            Some(c @ ('(' | '[' | '\'' | '"')) if !value.is_empty() => {
                Err(ahead.error(QueryProblem::ValueNeedsQuotes(c)))
            }
            // A group or a class at the beginning of a regular expression.
            Some('(') => Err(ahead.error(QueryProblem::ValueNeedsQuotes('('))),
            _ if value.is_empty() || is_connective(value) => Ok(None),
            _ => {
                *self = ahead;
                Ok(Some(value.to_owned()))
            }
        }
    }

    fn take_quoted(&mut self, quote: char) -> Result<String, QueryError> {
        let opened = *self;
        self.take_char();
        let mut value = String::new();
        while let Some(c) = self.take_char() {
            match (c, self.rest.chars().next()) {
                (c, _) if c == quote => return Ok(value),
                ('\\', Some(escaped)) if escaped == quote || escaped == '\\' => value.extend(self.take_char()),
                _ => value.push(c),
            }
        }
        Err(opened.error(QueryProblem::UnclosedQuote(quote)))
    }

    fn take_char(&mut self) -> Option<char> {
        let mut rest = self.rest.chars();
        let c = rest.next();
        self.rest = rest.as_str();
        c
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest.trim_start_matches(belongs);
        let taken = self.rest.get(..self.rest.len().saturating_sub(rest.len())).unwrap_or_default();
        self.rest = rest;
        taken
    }
}

fn ends_bare(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | '[' | ']' | '(' | ')' | '\'' | '"')
}

/// Whether a word joins or negates tests, so that it is a value only in quotes.
fn is_connective(word: &str) -> bool {
    ["and", "or", "not"].iter().any(|connective| word.eq_ignore_ascii_case(connective))
}

/// Whether a value reads the same without quotes.
pub(super) fn is_bare(value: &str) -> bool {
    matches!(Cursor::new(value).take_value(), Ok(Some(read)) if read == value)
}
