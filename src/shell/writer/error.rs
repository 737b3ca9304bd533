//! A write that failed: what it means, and what is told of it.

use std::fmt;

use crate::shell::writer::TIME_LIMIT;

/// A write that failed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The API server did not take a create.
    #[error("creating {kind} {name} was refused: {source}")]
    Create {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
        /// What the server said.
        source: Refusal,
    },
    /// There is an object of this name, and it is not the one that we made, or not any more.
    #[error("{kind} {name} exists already, and is not the one that should have the name; delete it")]
    Foreign {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
    },
    /// The API server did not take a delete.
    #[error("deleting {kind} {name} was refused: {source}")]
    Delete {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
        /// What the server said.
        source: Refusal,
    },
    /// The API server did not take a change of status or finalizers.
    #[error("updating {kind} {name} was refused: {source}")]
    Update {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
        /// What the server said.
        source: Refusal,
    },
    /// What has to be read first was not.
    #[error("reading {name} failed: {why}")]
    Read {
        /// The name.
        name: String,
        /// Why.
        why: String,
    },
    /// The API server did not answer.
    #[error("writing {kind} {name} took longer than {} seconds", TIME_LIMIT.as_secs())]
    TimedOut {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
    },
}

/// The reasons that the API server itself has for an answer.
const REASONS: [&str; 12] = [
    "AlreadyExists",
    "BadRequest",
    "Conflict",
    "Forbidden",
    "InternalError",
    "Invalid",
    "NotFound",
    "RequestEntityTooLarge",
    "ServiceUnavailable",
    "Timeout",
    "TooManyRequests",
    "Unauthorized",
];

/// What the API server answered, in its own words. kube's text has the whole answer behind them a second time.
#[derive(Debug)]
pub struct Refusal(pub(super) Box<kube::Error>);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            kube::Error::Api(status) => f.write_str(&status.message),
            error => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Refusal {}

impl WriteError {
    /// Whether the write has certainly not happened: the server answered, and refused.
    pub fn is_certain(&self) -> bool {
        matches!(self, Self::Foreign { .. }) || self.status().is_some_and(|status| (400..500).contains(&status.code))
    }

    /// Whether somebody does not want the object to be: a quota, a policy, or a rule of the API server. That we may write none at
    /// all is not a matter of the object; only the sentence tells the two apart.
    pub fn is_refusal(&self) -> bool {
        let has_no_right = |message: &str| {
            ["create", "patch", "delete"].iter().any(|verb| message.contains(&format!(" cannot {verb} resource ")))
        };
        let is_denied = |status: &kube::core::Status| match status.code {
            403 => !has_no_right(&status.message),
            422 => true,
            // That of a webhook which gives no code.
            400 => status.message.contains(" denied the request"),
            _ => false,
        };
        self.status().is_some_and(is_denied)
    }

    /// Whether the object itself breaks a rule of the API server: trying again changes nothing.
    pub fn is_invalid(&self) -> bool {
        self.status().is_some_and(kube::core::Status::is_invalid)
    }

    /// Whether another write came first: what to do has to be decided anew.
    pub fn is_conflict(&self) -> bool {
        self.status().is_some_and(kube::core::Status::is_conflict)
    }

    /// Whether what was to be written to is not there any more.
    pub fn is_not_found(&self) -> bool {
        self.status().is_some_and(kube::core::Status::is_not_found)
    }

    /// The same, of a Secret without words that may repeat what is in it, as a whole, in part or in other letters: whoever refuses one
    /// may quote it. What is left are the sentences that the API server makes of names alone, and who it is that refuses.
    #[must_use]
    pub fn withholding(mut self) -> Self {
        if let Self::Create { kind, source, .. } | Self::Delete { kind, source, .. } | Self::Update { kind, source, .. } =
            &mut self
            && kind == "Secret"
            && let kube::Error::Api(status) = &mut *source.0
            && !names_alone(&status.message)
        {
            let who = refuser(&status.message).map(|who| format!("{who}: ")).unwrap_or_default();
            let code = status.code;
            status.message =
                format!("{who}the API server's answer ({code}) may repeat a value of the Secret and is withheld");
            status.details = None;
            // A webhook may have its words here as well.
            if !REASONS.contains(&status.reason.as_str()) {
                status.reason.clear();
            }
        }
        self
    }

    fn status(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Create { source, .. } | Self::Delete { source, .. } | Self::Update { source, .. } => {
                match &*source.0 {
                    kube::Error::Api(status) => Some(status),
                    _ => None,
                }
            }
            Self::Foreign { .. } | Self::Read { .. } | Self::TimedOut { .. } => None,
        }
    }
}

/// Whether a refusal is one of those that the API server makes of names alone: of rights, of a quota, of a namespace that is being
/// deleted. Such as `secrets "a" is forbidden: exceeded quota: few, requested: count/secrets=1, …`.
fn names_alone(message: &str) -> bool {
    let Some(said) = message.strip_prefix("secrets ") else { return false };
    let of_the_name = said.strip_prefix('"').and_then(|said| said.split_once("\" ")).map(|(_, said)| said);
    let said = of_the_name.unwrap_or(said).strip_prefix("is forbidden: ").unwrap_or_default();
    ["User \"", "exceeded quota: ", "unable to create new content in namespace "].iter().any(|so| said.starts_with(so))
}

/// The webhook or policy that refuses an object, or that cannot be asked, as the API server names it before its words.
fn refuser(message: &str) -> Option<&str> {
    let ends_with = |verb: &str| message.find(verb).and_then(|at| message.get(..at.saturating_add(verb.len())));
    let webhook = || ends_with(" denied the request").filter(|who| who.starts_with("admission webhook \""));
    let of_policy = " is forbidden: ValidatingAdmissionPolicy '";
    let policy = || ends_with(" denied request").filter(|who| who.starts_with("secrets \"") && who.contains(of_policy));
    let unheard = || {
        let begins = "Internal error occurred: failed calling webhook \"";
        let name = message.strip_prefix(begins)?.split('"').next()?;
        message.get(..begins.len().saturating_add(name.len()).saturating_add(1))
    };
    webhook().or_else(policy).or_else(unheard)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16, message: &str) -> WriteError {
        let status = kube::core::Status::failure(message, "Forbidden").with_code(code).boxed();
        let source = Refusal(Box::new(kube::Error::Api(status)));
        WriteError::Create { kind: "Secret".to_owned(), name: "a".to_owned(), source }
    }

    #[test]
    fn of_a_refused_secret_no_words_are_told_that_may_repeat_it_and_it_stays_clear_who_refuses() {
        let withheld = "the API server's answer (403) may repeat a value of the Secret and is withheld";
        let policy = "secrets \"a\" is forbidden: ValidatingAdmissionPolicy 'strong' with binding 'all' denied request";
        let kept = |message: &str| message.to_owned();
        for (sentence, message, expected) in [
            (
                "a quota counts",
                "secrets \"a\" is forbidden: exceeded quota: few, requested: count/secrets=1, used: count/secrets=1",
                kept(
                    "secrets \"a\" is forbidden: exceeded quota: few, requested: count/secrets=1, used: count/secrets=1",
                ),
            ),
            (
                "rights are of kinds",
                "secrets is forbidden: User \"longshore\" cannot create resource \"secrets\" in API group \"\"",
                kept("secrets is forbidden: User \"longshore\" cannot create resource \"secrets\" in API group \"\""),
            ),
            (
                "a webhook may quote a part",
                "admission webhook \"secrets.example.com\" denied the request: hunt is too short",
                format!("admission webhook \"secrets.example.com\" denied the request: {withheld}"),
            ),
            (
                "a policy may quote what it likes",
                &format!("{policy}: {{\\\"password\\\":\\\"hunter2\\\"}}"),
                format!("{policy}: {withheld}"),
            ),
            (
                "a rule quotes the value itself",
                "Secret \"a\" is invalid: data[b]: Invalid value: \"hunter2 denied the request\"",
                kept(withheld),
            ),
            ("and so may anybody", "hunter2", kept(withheld)),
        ] {
            let told = refused(403, message).withholding().to_string();
            assert_eq!(told, format!("creating Secret a was refused: {expected}"), "{sentence}");
        }
        let down = "Internal error occurred: failed calling webhook \"secrets.example.com\": no endpoints for hunter2";
        let told = refused(500, down).withholding().to_string();
        let who =
            "Internal error occurred: failed calling webhook \"secrets.example.com\": the API server's answer (500)";
        assert!(told.contains(who) && !told.contains("hunter2"), "{told}");
    }

    #[test]
    fn what_is_withheld_changes_nothing_of_what_an_answer_means() {
        for (code, message, expected) in [
            (400, "admission webhook \"secrets.example.com\" denied the request: hunter2", true),
            (403, "secrets is forbidden: User \"prod\" cannot create resource \"secrets\" in API group \"\"", false),
            (422, "Secret \"a\" is invalid: hunter2", true),
        ] {
            assert_eq!(refused(code, message).withholding().is_refusal(), expected, "{message}");
        }
    }

    #[test]
    fn a_webhook_may_give_its_words_for_a_reason() {
        let status = kube::core::Status::failure("denied", "hunter2 is too weak").with_code(403).boxed();
        let source = Refusal(Box::new(kube::Error::Api(status)));
        let refused = WriteError::Update { kind: "Secret".to_owned(), name: "a".to_owned(), source };
        let told = format!("{} {0:?}", refused.withholding());
        assert!(!told.contains("hunter2"), "{told}");
    }

    #[test]
    fn an_object_is_refused_for_what_it_is_by_a_rule_a_policy_or_a_quota_and_not_for_want_of_rights() {
        for (code, message, expected) in [
            (
                403,
                "pods \"web-1\" is forbidden: exceeded quota: pods, requested: pods=1, used: pods=3, limited: pods=3",
                true,
            ),
            (403, "pods \"web-1\" is forbidden: violates PodSecurity \"baseline:latest\": privileged", true),
            (403, "pods is forbidden: User \"longshore\" cannot create resource \"pods\" in API group \"\"", false),
            (
                403,
                "secrets \"a\" is forbidden: User \"longshore\" cannot patch resource \"secrets\" in API group \"\"",
                false,
            ),
            (422, "Pod \"web-1\" is invalid: spec.containers[0].image: Required value", true),
            (400, "admission webhook \"policy.example.com\" denied the request", true),
            (400, "the object provided is unrecognized", false),
            (429, "too many requests", false),
            (500, "failed calling webhook \"policy.example.com\"", false),
        ] {
            assert_eq!(refused(code, message).is_refusal(), expected, "{message}");
        }
    }
}
