//! Members that only answers of the ECS API have.
//!
//! From AWS's model of the API of 2014-11-13 (botocore 1.44.5, data/ecs/2014-11-13/service-2.json): the members of
//! `TaskDefinition`, `Service` and `Cluster` that the inputs of RegisterTaskDefinition, CreateService and CreateCluster do
//! not have. In what lies deeper the two are the same.

use crate::import::Kind;
use crate::import::document::Document;
use crate::import::report::Findings;

const TASK_DEFINITION: &[&str] = &[
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "deregisteredAt",
    "deleteRequestedAt",
    "registeredBy",
];

const SERVICE: &[&str] = &[
    "serviceArn",
    "clusterArn",
    "status",
    "runningCount",
    "pendingCount",
    "platformFamily",
    "taskSets",
    "deployments",
    "roleArn",
    "events",
    "createdAt",
    "currentServiceDeployment",
    "currentServiceRevisions",
    "createdBy",
    "resourceManagementType",
];

const CLUSTER: &[&str] = &[
    "clusterArn",
    "status",
    "registeredContainerInstancesCount",
    "runningTasksCount",
    "pendingTasksCount",
    "activeServicesCount",
    "statistics",
    "attachments",
    "attachmentsStatus",
];

fn members(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::TaskDefinition => TASK_DEFINITION,
        Kind::Service => SERVICE,
        Kind::Cluster => CLUSTER,
    }
}

/// Drops the members of a document that are output.
pub(super) fn drop_from(document: &mut Document, findings: &mut Findings) {
    let output = members(document.kind);
    let (dropped, kept): (Vec<_>, Vec<_>) =
        std::mem::take(&mut document.members).into_iter().partition(|member| output.contains(&member.name.as_str()));
    document.members = kept;
    if !dropped.is_empty() {
        let names: Vec<_> = dropped.iter().map(|member| member.name.as_str()).collect();
        findings.note(document.path.clone(), format!("dropped {} (output of AWS, not input)", names.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::spec_schemas;

    #[test]
    fn no_member_is_input_and_output_only() {
        let schemas = spec_schemas();
        for kind in [Kind::TaskDefinition, Kind::Service, Kind::Cluster] {
            let input = schemas[kind.name()].properties.as_ref().unwrap();
            let both: Vec<_> = members(kind).iter().filter(|member| input.contains_key(**member)).collect();
            assert!(both.is_empty(), "{}: {both:?}", kind.name());
        }
    }
}
