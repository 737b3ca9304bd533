//! What is told of values, which is nothing, and what is written.

use std::collections::BTreeSet;

use http::{Method, Request, Response};
use kube::client::Body;
use tower::service_fn;

use super::*;
use crate::domain::secrets::derived::Form;

#[test]
fn what_is_stored_may_have_more_members_than_are_wanted_and_no_others() {
    let stored = json!({ "a": 1, "b": { "c": [{ "d": 1, "e": 2 }] } });
    for (wanted, expected) in [
        (json!({ "a": 1 }), true),
        (json!({ "b": { "c": [{ "d": 1 }] } }), true),
        (json!({ "a": 2 }), false),
        (json!({ "f": 1 }), false),
        (json!({ "b": { "c": [] } }), false),
    ] {
        assert_eq!(holds(&stored, &wanted), expected, "{wanted}");
    }
}

/// A password that a quotation has to escape.
const PASSWORD: &str = "the \"canary\"";

/// An API server that has the credentials of a registry, and perhaps the Secret that is made of them, and refuses whatever is written
/// in these words.
fn server(is_made: bool, refusal: String) -> Client {
    let serve = service_fn(move |request: Request<Body>| {
        let refusal = refusal.clone();
        async move {
            let failure = |code: u16, message: &str| {
                let details = json!({ "name": "x", "causes": [{ "message": message, "field": "data" }] });
                (
                    code,
                    json!({ "status": "Failure", "message": message, "reason": "", "code": code, "details": details }),
                )
            };
            let stored = |data: Value, owner: Value| {
                let metadata = json!({
                    "name": "x", "uid": "uid", "resourceVersion": "1", "ownerReferences": [owner],
                    "labels": { labels::MANAGED_BY: labels::MANAGED_BY_LONGSHORE },
                });
                (200, json!({ "metadata": metadata, "type": content::PULL_SECRET, "data": data }))
            };
            let owner = json!({ "apiVersion": API_VERSION, "kind": "Service", "name": "web", "uid": "uid" });
            let is_source = request.uri().path() == "/api/v1/namespaces/shop/secrets/registry";
            let credentials = json!({ "username": "AWS", "password": PASSWORD }).to_string();
            let (code, answer) = match *request.method() {
                Method::GET if is_source => stored(json!({ "credentials": STANDARD.encode(credentials) }), owner),
                Method::GET if is_made => stored(json!({}), owner),
                Method::GET => failure(404, "secrets \"x\" not found"),
                _ => failure(422, &refusal),
            };
            let answer = Body::from(answer.to_string().into_bytes());
            Response::builder().status(code).body(answer).map_err(kube::Error::HttpError)
        }
    });
    Client::new(serve, "default")
}

/// "Longshore withholds an answer that repeats a value."
#[tokio::test]
async fn a_refusal_that_repeats_a_value_is_told_without_the_words_of_the_api_server() {
    let quoted = PASSWORD.replace('"', "\\\"");
    let auth = STANDARD.encode(format!("AWS:{PASSWORD}"));
    let credentials = json!({ "username": "AWS", "password": PASSWORD, "auth": auth });
    let document = json!({ "auths": { "ghcr.io": credentials } }).to_string();
    for (sentence, words, is_told) in [
        ("a quota's own", "exceeded quota: few, requested: count/secrets=1, used: count/secrets=1", true),
        ("of something else, as far as can be seen", "no more of these", false),
        ("as it is", PASSWORD, false),
        ("in quotation marks", &quoted, false),
        ("as a registry takes it", &auth, false),
        ("with the document that it is in", &document, false),
        ("as the Secret has it", &STANDARD.encode(&document), false),
    ] {
        for is_made in [false, true] {
            let client = server(is_made, format!("secrets \"x\" is forbidden: {words}"));
            let (index, uid) = (SecretIndex::default(), Uid("uid".to_owned()));
            let maker = Maker { client: &client, index: &index, namespace: "shop", service: "web", uid: &uid };
            let secret = DerivedSecret {
                source: Source { kind: SecretMappingKind::Secret, name: "registry".to_owned() },
                key: "credentials".to_owned(),
                form: Form::Registry(BTreeSet::from(["ghcr.io".to_owned()])),
            };
            let error = maker.make(&Derived::Secret(secret)).await.unwrap_err();
            let told = format!("{error} {error:?}");
            assert_eq!((told.contains(words), told.contains("withheld")), (is_told, !is_told), "{sentence}: {told}");
            assert!(error.is_refusal(), "what becomes of it does not depend on the words");
        }
    }
}

/// Whoever writes a panic or a log may print what is at hand.
#[test]
fn what_is_sent_has_the_values_and_what_is_printed_of_it_has_none() {
    let values = |key: &str| Values::from([(key.to_owned(), PASSWORD.as_bytes().to_vec().into())]);
    let (stored, wanted) = (values("old"), values("new"));
    let data = wanted.iter().map(|(key, value)| (key.as_str(), Encoded(value))).collect();
    let metadata = ObjectMeta::default();
    let made = NewSecret { api_version: Secret::API_VERSION, kind: Secret::KIND, metadata, type_: "Opaque", data };
    let changes = ChangedData::between(&stored, &wanted);
    let encoded = STANDARD.encode(PASSWORD);
    let sent =
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": {}, "type": "Opaque", "data": { "new": encoded } });
    assert_eq!(json!(made), sent);
    assert_eq!(json!(changes), json!({ "data": { "old": null, "new": encoded } }));
    let printed = format!("{made:?} {changes:?}");
    let decimals = format!("{:?}", b"canary");
    for form in ["canary", &encoded, decimals.trim_matches(['[', ']'])] {
        assert!(!printed.contains(form), "{printed}");
    }
}
