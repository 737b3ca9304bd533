//! Where a container's output goes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::Secret;
use crate::api::nulls::empty_if_null;

/// Log driver of a container and its options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogConfiguration {
    /// Name of the log driver.
    pub log_driver: LogDriver,
    /// Options of the log driver, by name.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Options whose values come from a secret store.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    pub secret_options: Vec<Secret>,
}

/// Log drivers ECS knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogDriver {
    /// Files in JSON on the node.
    JsonFile,
    /// The system log.
    Syslog,
    /// The systemd journal.
    Journald,
    /// A Graylog endpoint.
    Gelf,
    /// A fluentd daemon.
    Fluentd,
    /// CloudWatch Logs.
    Awslogs,
    /// A Splunk event collector.
    Splunk,
    /// The task's own log router, see `firelensConfiguration`.
    Awsfirelens,
}

/// Makes the container the log router of its task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FirelensConfiguration {
    /// The log router program.
    pub type_: FirelensConfigurationType,
    /// Options of the log router, for example `config-file-type`.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

/// Log router programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FirelensConfigurationType {
    /// Fluentd.
    Fluentd,
    /// Fluent Bit.
    Fluentbit,
}
