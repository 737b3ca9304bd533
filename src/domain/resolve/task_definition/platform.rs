//! The nodes that a task may run on.

use std::collections::BTreeMap;

use crate::api::{
    CpuArchitecture, IsolationMode, OsFamily, RuntimePlatform, TaskDefinitionSpec, TrustedExecutionConfiguration,
};
use crate::domain::placement::constraint::Constraint;
use crate::domain::placement::node_terms::{NodeTerm, node_terms};
use crate::domain::placement::query::{AttributeTest, Expression, Test, TextMatch, TextTest};
use crate::domain::resolve::Problem;
use crate::domain::resolve::task_definition::{extension, fargate};

const OS: &str = "kubernetes.io/os";
const ARCH: &str = "kubernetes.io/arch";

/// What a node must have.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Platform {
    /// Labels.
    pub node_selector: BTreeMap<String, String>,
    /// Alternatives, of which one must hold; none at all where any node will do.
    pub terms: Vec<NodeTerm>,
    /// All of it as placement constraints, for whoever places tasks.
    pub constraints: Vec<Constraint>,
}

pub(super) fn refused(spec: &TaskDefinitionSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    let system = spec.runtime_platform.as_ref().and_then(|platform| platform.operating_system_family);
    if system.is_some_and(fargate::is_windows) {
        let message = "tasks run on Linux only; use LINUX, or leave the member out";
        problems.push(Problem::new("runtimePlatform.operatingSystemFamily", message));
    }
    if let Some(TrustedExecutionConfiguration { isolation_mode, attestation_policy }) =
        &spec.trusted_execution_configuration
    {
        if attestation_policy.is_some() {
            let message = "nobody would check the policy; remove it";
            problems.push(Problem::new("trustedExecutionConfiguration.attestationPolicy", message));
        }
        let has_class = spec.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.runtime_class_name.is_some());
        let message = match isolation_mode {
            IsolationMode::Shared => None,
            IsolationMode::IsolatedSandbox if has_class => None,
            IsolationMode::IsolatedSandbox => {
                Some("a sandbox is a RuntimeClass on Kubernetes; name it in spec.kubernetes.runtimeClassName")
            }
            IsolationMode::ConfidentialSandbox => {
                Some("nobody would check the attestation policy; use ISOLATED_SANDBOX or SHARED")
            }
        };
        problems.extend(message.map(|message| Problem::new("trustedExecutionConfiguration.isolationMode", message)));
    }
    for (n, constraint) in spec.placement_constraints.iter().enumerate() {
        let place = format!("placementConstraints[{n}].expression");
        let refusal = match Constraint::try_from(constraint) {
            Err(error) => Some(error.to_string()),
            Ok(constraint) => node_terms(std::slice::from_ref(&constraint)).err().map(|error| error.to_string()),
        };
        problems.extend(refusal.map(|message| Problem::new(place, message)));
    }
    if problems.is_empty()
        && let Err(error) = node_terms(&constraints(spec))
    {
        problems.push(Problem::new("placementConstraints", error.to_string()));
    }
    for (key, value) in platform_labels(spec) {
        let given = spec.kubernetes.as_ref().and_then(|kubernetes| kubernetes.node_selector.get(key));
        if let Some(given) = given.filter(|given| *given != value) {
            let message = format!("{key} is {given:?} here and {value:?} by runtimePlatform; remove one");
            problems.push(Problem::new("kubernetes.nodeSelector", message));
        }
    }
    problems
}

fn constraints(spec: &TaskDefinitionSpec) -> Vec<Constraint> {
    spec.placement_constraints.iter().filter_map(|constraint| Constraint::try_from(constraint).ok()).collect()
}

/// "The default is X86_64" and Linux on Fargate; elsewhere the instance decides.
fn platform_labels(spec: &TaskDefinitionSpec) -> Vec<(&'static str, &'static str)> {
    let RuntimePlatform { cpu_architecture, operating_system_family } =
        spec.runtime_platform.clone().unwrap_or_default();
    let on_fargate = fargate::is_required(spec);
    let architecture = cpu_architecture.or_else(|| on_fargate.then_some(CpuArchitecture::X8664));
    let system = operating_system_family.or_else(|| on_fargate.then_some(OsFamily::Linux));
    let architecture = architecture.map(|architecture| match architecture {
        CpuArchitecture::X8664 => (ARCH, "amd64"),
        CpuArchitecture::Arm64 => (ARCH, "arm64"),
    });
    let system = system.filter(|system| *system == OsFamily::Linux).map(|_| (OS, "linux"));
    architecture.into_iter().chain(system).collect()
}

pub(super) fn resolve(spec: &TaskDefinitionSpec) -> Platform {
    let labels = platform_labels(spec).into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
    let node_selector: BTreeMap<String, String> = labels.chain(extension::node_selector(spec)).collect();
    let constraints = constraints(spec);
    let terms = node_terms(&constraints).unwrap_or_default();
    let selected = node_selector.iter().filter_map(|(label, value)| has_label(label, value));
    Platform { terms, constraints: constraints.into_iter().chain(selected).collect(), node_selector }
}

/// The constraint that a node has a label: every label is an attribute of the same name.
fn has_label(label: &str, value: &str) -> Option<Constraint> {
    let test = TextTest { negated: false, with: TextMatch::Equals(value.to_owned()) };
    let test = Test::Attribute(label.parse().ok()?, AttributeTest::Text(test));
    Some(Constraint::MemberOf(Expression::Test(test)))
}
