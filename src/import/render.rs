//! Custom resources as YAML to be applied.

use serde::Serialize;

use crate::api::API_VERSION;
use crate::import::Resource;
use crate::import::json::Json;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    spec: &'a Json,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
}

/// Why the resources could not be printed.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// One could not be written.
    #[error("the {kind} {name} cannot be written as YAML: {source}")]
    Write {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Why.
        source: serde_saphyr::ser::Error,
    },
}

/// The resources as YAML, each a document of its own.
pub fn yaml(resources: &[Resource]) -> Result<String, RenderError> {
    resources.iter().map(document).collect()
}

fn document(resource: &Resource) -> Result<String, RenderError> {
    let manifest = Manifest {
        api_version: API_VERSION,
        kind: resource.kind.name(),
        metadata: Metadata { name: &resource.name, namespace: resource.namespace.as_deref() },
        spec: &resource.spec,
    };
    // A long command that is folded no longer reads as the line it is.
    let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
    let mut text = String::from("---\n");
    serde_saphyr::to_fmt_writer_with_options(&mut text, &manifest, options).map_err(|source| RenderError::Write {
        kind: resource.kind.name(),
        name: resource.name.clone(),
        source,
    })?;
    Ok(text)
}
