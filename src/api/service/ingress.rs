//! Ways into a service other than load balancers: VPC Lattice and gateways.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::nulls::empty_if_null;

/// A VPC Lattice target group in front of a service.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VpcLatticeConfiguration {
    /// IAM role that may change the target group.
    pub role_arn: String,
    /// ARN of the target group.
    pub target_group_arn: String,
    /// Name of a port mapping in the task definition.
    pub port_name: String,
    /// What traffic shifting needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advanced_configuration: Option<VpcLatticeAdvancedConfiguration>,
}

/// What traffic shifting between two VPC Lattice target groups needs.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VpcLatticeAdvancedConfiguration {
    /// ARN of the other target group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alternate_target_group_arn: Option<String>,
    /// ARN of the listener rule for production traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub production_listener_rule: Option<String>,
    /// ARN of the listener rule for test traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_listener_rule: Option<String>,
}

/// Attaches a port of the service to a gateway.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayConnector {
    /// Name of a port mapping in the task definition.
    pub port_name: String,
    /// How the gateway checks its targets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check: Option<GatewayConnectorHealthCheck>,
    /// Which paths of the gateway are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filters: Option<GatewayConnectorFilters>,
    /// How long a target that leaves may finish its requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deregistration_delay: Option<GatewayConnectorDeregistrationDelay>,
}

/// How a gateway checks its targets.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayConnectorHealthCheck {
    /// Protocol of the check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_protocol: Option<GatewayConnectorHealthCheckProtocol>,
    /// Port of the check, 0 to 65535.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 65535))]
    pub health_check_port: Option<i32>,
    /// Path of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check_path: Option<String>,
    /// Seconds without an answer that count as a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub health_check_timeout_seconds: Option<i32>,
    /// Seconds between two checks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub health_check_interval_seconds: Option<i32>,
    /// Consecutive successes that make a target healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub healthy_threshold_count: Option<i32>,
    /// Consecutive failures that make a target unhealthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub unhealthy_threshold_count: Option<i32>,
    /// Answers that count as a success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matcher: Option<GatewayConnectorHealthCheckMatcher>,
}

/// Protocols of a gateway's health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GatewayConnectorHealthCheckProtocol {
    /// HTTP.
    Http,
    /// HTTPS.
    Https,
}

/// Answers that count as a success.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayConnectorHealthCheckMatcher {
    /// HTTP status codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_code: Option<String>,
    /// gRPC status codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_code: Option<String>,
}

/// Which paths of a gateway are used.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayConnectorFilters {
    /// Kinds of access, at most 2.
    #[serde(default, deserialize_with = "empty_if_null", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub access_types: Vec<AccessType>,
}

/// Kinds of access to a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AccessType {
    /// From anywhere.
    Public,
    /// From private networks only.
    Private,
}

/// How long a target that leaves may finish its requests.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayConnectorDeregistrationDelay {
    /// Seconds, 0 to 3600, default 300.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub timeout_seconds: Option<i32>,
}
