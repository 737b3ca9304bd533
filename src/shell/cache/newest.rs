//! Streamed lists of the newest state.

use http::Request;
use kube::Client;
use kube::client::Body;
use tower::service_fn;

/// A client whose streamed lists are of no older state than that of the request.
///
/// kube asks for them from version "0", which is any state that the API server has at hand. After a restart, or beside others that
/// are ahead, that may be an old one: tasks started since would be missing and be started again, tasks stopped since would count as
/// healthy, and another one would be stopped on their account. Without a version a server first catches up with etcd.
pub fn newest_lists(client: Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    let send = move |request| {
        let client = client.clone();
        async move { client.send(without_version(request)).await }
    };
    Client::new(service_fn(send), namespace)
}

fn without_version(mut request: Request<Body>) -> Request<Body> {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    let members: Vec<_> = query.split('&').filter(|member| !member.is_empty()).collect();
    if !members.contains(&"sendInitialEvents=true") {
        return request;
    }
    let kept: Vec<_> = members.into_iter().filter(|member| *member != "resourceVersion=0").collect();
    if let Ok(newest) = format!("{path}?{}", kept.join("&")).parse() {
        *request.uri_mut() = newest;
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_streamed_list_from_any_version_is_asked_for_otherwise() {
        let asked = |uri: &str| without_version(Request::get(uri).body(Body::empty()).unwrap()).uri().to_string();
        assert_eq!(
            asked(
                "/api/v1/pods?&watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=0"
            ),
            "/api/v1/pods?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
        );
        for other in
            ["/api/v1/pods?&watch=true&resourceVersion=0", "/api/v1/pods?&watch=true&resourceVersion=7", "/api/v1/pods"]
        {
            assert_eq!(asked(other), other);
        }
    }
}
