//! Whose rights a task has.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::resolve::task_definition::ResolvedTaskDefinition;

/// The ServiceAccount that the task definition names, or the one that its cluster has for the role.
pub(super) fn of(definition: &ResolvedTaskDefinition, of_roles: &BTreeMap<String, String>) -> Option<String> {
    let named = definition.extension.given.service_account_name.as_deref();
    named.or_else(|| of_role(definition.task_role.as_deref()?, of_roles)).map(str::to_owned)
}

/// "The short name or full Amazon Resource Name (ARN) of the IAM role": a name stands for the role of this name, in whichever account and path. One that stands
/// for roles with different ServiceAccounts stands for none: rights are not handed out by guess.
fn of_role<'a>(role: &str, of_roles: &'a BTreeMap<String, String>) -> Option<&'a str> {
    let is_arn = |role: &str| role.starts_with("arn:");
    let is_the_same = |other: &str| !(is_arn(role) && is_arn(other)) && name(role) == name(other);
    let by_name = || {
        let same = of_roles.iter().filter(|(other, _)| is_the_same(other));
        let accounts: BTreeSet<&str> = same.map(|(_, account)| account.as_str()).collect();
        accounts.first().copied().filter(|_| accounts.len() == 1)
    };
    of_roles.get(role).map(String::as_str).or_else(by_name)
}

/// `web` of `arn:aws:iam::123456789012:role/team/web`, of `team/web` and of `web`.
fn name(role: &str) -> Option<&str> {
    role.rsplit('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_found_by_its_arn_or_by_its_name() {
        const WEB: &str = "arn:aws:iam::123456789012:role/team/web";
        const OTHER: &str = "arn:aws:iam::210987654321:role/web";
        for (sentence, role, mappings, expected) in [
            ("an ARN by itself", WEB, &[(WEB, "a"), (OTHER, "b"), ("web", "c")][..], Some("a")),
            ("a name by itself", "web", &[(WEB, "a"), ("web", "c")], Some("c")),
            ("a name by the ARN of the role", "web", &[(WEB, "a"), ("web2", "b")], Some("a")),
            ("a name with its path", "team/web", &[(WEB, "a")], Some("a")),
            ("an ARN by the name of the role", WEB, &[("web", "c"), ("team", "b")], Some("c")),
            ("no ARN by another account's", WEB, &[(OTHER, "b")], None),
            ("a name by none of two", "web", &[(WEB, "a"), (OTHER, "b")], None),
            ("a name by two with one ServiceAccount", "web", &[(WEB, "a"), (OTHER, "a")], Some("a")),
            ("no name by a part of one", "we", &[(WEB, "a"), ("web", "c")], None),
        ] {
            let mappings = mappings.iter().map(|(role, account)| ((*role).to_owned(), (*account).to_owned())).collect();
            assert_eq!(of_role(role, &mappings), expected, "{sentence}");
        }
    }
}
