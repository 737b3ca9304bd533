//! What a container finds in its environment: variables, files of variables and secrets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A name and a value.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyValuePair {
    /// Name of the variable or property.
    pub name: String,
    /// Its value; absent means empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// A file of environment variables, one `NAME=value` a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentFile {
    /// ARN of the object that holds the file; the name ends in `.env`.
    pub value: String,
    /// Kind of store the file lies in.
    pub type_: EnvironmentFileType,
}

/// Kinds of store for environment files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EnvironmentFileType {
    /// An object in S3.
    S3,
}

/// A value taken from a secret store and handed to the container or its log driver.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Secret {
    /// Name of the environment variable or log option that receives the value.
    pub name: String,
    /// Where the value comes from: a secret or parameter ARN, or a name in the same Region.
    pub value_from: String,
}

/// Credentials for a private image registry.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryCredentials {
    /// ARN or name of the secret that holds the user name and password.
    pub credentials_parameter: String,
}
