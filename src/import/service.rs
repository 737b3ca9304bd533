//! What a service refers to in AWS, said as it is said here.

use crate::api::names::{TaskDefinitionName, cluster_name};
use crate::import::document::{Document, Member};
use crate::import::json::Json;
use crate::import::report::Findings;

/// Input of CreateService that answers show in the deployments of the service only.
const KEPT_IN_DEPLOYMENTS: [&str; 3] =
    ["serviceConnectConfiguration", "volumeConfigurations", "vpcLatticeConfigurations"];

/// Makes the input of CreateService of what DescribeServices answers.
pub(super) fn settle(document: &mut Document, findings: &mut Findings) {
    take_from_deployment(&mut document.members, findings);
    if let Some(member) = document.members.iter_mut().find(|member| member.name == "taskDefinition") {
        settle_task_definition(member, findings);
    }
    settle_cluster(&mut document.members, findings);
}

fn take_from_deployment(members: &mut Vec<Member>, findings: &mut Findings) {
    let Some(deployments) = members.iter().find(|member| member.name == "deployments") else { return };
    let is_primary = |deployment: &&Json| deployment.get("status").and_then(Json::as_str) == Some("PRIMARY");
    let list = deployments.value.as_list().unwrap_or_default();
    let Some(n) = list.iter().position(|deployment| is_primary(&deployment)) else { return };
    let path = deployments.path.item(n);
    let taken: Vec<Member> = KEPT_IN_DEPLOYMENTS
        .iter()
        .filter(|name| !members.iter().any(|member| member.name == **name))
        .filter_map(|name| {
            let value = list.get(n)?.get(name)?.clone();
            Some(Member { name: (*name).to_owned(), path: path.member(name), value })
        })
        .collect();
    if !taken.is_empty() {
        let names: Vec<_> = taken.iter().map(|member| member.name.as_str()).collect();
        findings.note(path, format!("took {} into the service", names.join(", ")));
        members.extend(taken);
    }
}

/// An ARN of AWS names a revision by a number that AWS counted; the family is followed instead.
fn settle_task_definition(member: &mut Member, findings: &mut Findings) {
    let Some(named) = member.value.as_str() else { return };
    match named.parse::<TaskDefinitionName>() {
        Err(error) => findings.problem(member.path.clone(), error),
        Ok(name) if named.starts_with("arn:") => {
            let family = name.family().to_string();
            findings.note(
                member.path.clone(),
                format!(
                    "{family:?} instead of {named}: the revision numbers of AWS do not exist here, so the newest revision is followed"
                ),
            );
            member.value = Json::String(family);
        }
        Ok(TaskDefinitionName::Revision(revision)) => findings.note(
            member.path.clone(),
            format!(
                "\"{revision}\" is a revision as numbered here, not by AWS; write {:?} to follow the newest",
                revision.family.as_str()
            ),
        ),
        Ok(TaskDefinitionName::Latest(_)) => {}
    }
}

/// `clusterArn` becomes `cluster`, where the ECS input would need one.
fn settle_cluster(members: &mut [Member], findings: &mut Findings) {
    if members.iter().any(|member| member.name == "cluster") {
        return;
    }
    let Some(member) = members.iter_mut().find(|member| member.name == "clusterArn") else { return };
    let Some(cluster) = member.value.as_str().map(|arn| cluster_name(Some(arn)).to_owned()) else { return };
    if cluster != "default" {
        findings.note(member.path.clone(), format!("kept as cluster {cluster:?}"));
        "cluster".clone_into(&mut member.name);
        member.value = Json::String(cluster);
    }
}
