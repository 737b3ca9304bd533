//! What a person asks of a deployment beside the spec, by annotations on the `Service`.
//!
//! Each names the deployment that it is about, so it acts once and may stay: nobody has to take it away again, and a copy of it in
//! git does no harm to the next deployment.

use std::collections::BTreeMap;

use crate::api::labels;
use crate::api::names::DeploymentId;

/// The annotations that control deployments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Control {
    /// `forceNewDeployment`: a token.
    pub force: Option<String>,
    /// The deployment to give up for the last one that completed.
    pub rollback: Option<DeploymentId>,
    /// The deployment to stop where it is.
    pub stop: Option<DeploymentId>,
    /// What to pause.
    pub pause: Option<Pause>,
    /// Annotations that say nothing that can be followed, and why.
    pub unread: Vec<String>,
}

/// What to pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Whichever deployment is in progress.
    Any,
    /// One deployment.
    Only(DeploymentId),
}

impl Control {
    /// Reads the annotations of a `Service`.
    pub fn read(annotations: &BTreeMap<String, String>) -> Self {
        let mut control = Self { force: annotations.get(labels::FORCE_NEW_DEPLOYMENT).cloned(), ..Self::default() };
        control.rollback = control.deployment(annotations, labels::ROLLBACK_DEPLOYMENT);
        control.stop = control.deployment(annotations, labels::STOP_DEPLOYMENT);
        control.pause = match annotations.get(labels::PAUSE_DEPLOYMENT).map(String::as_str) {
            Some("true") => Some(Pause::Any),
            Some("false") | None => None,
            Some(_) => control.deployment(annotations, labels::PAUSE_DEPLOYMENT).map(Pause::Only),
        };
        control
    }

    fn deployment(&mut self, annotations: &BTreeMap<String, String>, name: &str) -> Option<DeploymentId> {
        let value = annotations.get(name)?;
        let parsed = value.parse().ok();
        if parsed.is_none() {
            self.unread.push(format!(
                "metadata.annotations[{name}] ({value:?} is not the id of a deployment; write one of \
                 status.deployments[].id, such as ecs-svc/123)"
            ));
        }
        parsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: &str) -> Control {
        Control::read(&BTreeMap::from([(name.to_owned(), value.to_owned())]))
    }

    #[test]
    fn annotations_name_the_deployment_that_they_are_about() {
        assert_eq!(read(labels::ROLLBACK_DEPLOYMENT, "ecs-svc/7").rollback, Some(DeploymentId(7)));
        assert_eq!(read(labels::STOP_DEPLOYMENT, "ecs-svc/7").stop, Some(DeploymentId(7)));
        assert_eq!(read(labels::FORCE_NEW_DEPLOYMENT, "monday").force.as_deref(), Some("monday"));
        for (value, expected) in
            [("true", Some(Pause::Any)), ("false", None), ("ecs-svc/7", Some(Pause::Only(DeploymentId(7))))]
        {
            assert_eq!(read(labels::PAUSE_DEPLOYMENT, value).pause, expected, "{value}");
        }
    }

    #[test]
    fn one_that_cannot_be_followed_is_named() {
        for name in [labels::ROLLBACK_DEPLOYMENT, labels::STOP_DEPLOYMENT, labels::PAUSE_DEPLOYMENT] {
            let control = read(name, "latest");
            assert!(control.unread[0].contains(name) && control.unread[0].contains("ecs-svc/123"));
        }
    }
}
