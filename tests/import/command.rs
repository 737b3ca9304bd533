//! The command: what goes to standard output, to standard error, and the exit code.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::json;

const TASK_DEFINITION: &str = r#"{"family": "web", "containerDefinitions": [{"name": "app", "image": "nginx"}]}"#;

/// A new folder with the given files.
fn folder(name: &str, files: &[(&str, String)]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    folder
}

fn longshore(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_longshore"))
        .arg("import")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_command_prints_resources_to_standard_output_and_notes_to_standard_error() {
    let containers = json!([{ "name": "app", "image": "nginx" }]);
    let described = json!({ "family": "web", "containerDefinitions": containers, "revision": 7, "status": "ACTIVE" });
    let folder = folder("notes", &[("web.json.template", json!({ "taskDefinition": described }).to_string())]);
    let output = longshore(&folder, &["--namespace", "shop", "web.json.template"], "");
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("\n  name: web\n  namespace: shop\nspec:\n"), "{}", text(&output.stdout));
    assert_eq!(
        text(&output.stderr),
        "web.json.template: taskDefinition: dropped revision, status (output of AWS, not input)\n"
    );
}

#[test]
fn the_command_names_the_nameless_after_the_file_up_to_its_first_dot() {
    let folder = folder("stem", &[("web.json.template", json!([{ "name": "app", "image": "nginx" }]).to_string())]);
    let output = longshore(&folder, &["web.json.template"], "");
    assert!(text(&output.stdout).contains("\n  name: web\n"), "{}", text(&output.stdout));
}

#[test]
fn the_command_prints_the_good_files_and_fails_for_the_bad_ones() {
    let bad = json!({ "family": "bad", "containerDefinitions": [{ "name": "app", "cpu": "256" }] });
    let folder = folder("mixed", &[("good.json", TASK_DEFINITION.to_owned()), ("bad.json", bad.to_string())]);
    let output = longshore(&folder, &["missing.json", "bad.json", "good.json"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).starts_with("---\napiVersion: ecs.longshore.dev/v1alpha1\nkind: TaskDefinition\n"));
    assert_eq!(text(&output.stdout).matches("---").count(), 1);
    let said: Vec<_> = text(&output.stderr).lines().collect();
    assert!(said[0].starts_with("missing.json: cannot be read: "), "{said:?}");
    assert_eq!(said[1], "bad.json: containerDefinitions[0].cpu: expected an integer, found the string \"256\"");
    assert_eq!(said[2], "longshore: 2 of 3 files not imported; mend what is told above and import again");
    assert_eq!(said.len(), 3, "{said:?}");
}

#[test]
fn the_command_reads_standard_input_which_has_no_name_to_give() {
    let folder = folder("stdin", &[]);
    let output = longshore(&folder, &["-"], TASK_DEFINITION);
    assert!(output.status.success() && text(&output.stdout).contains("family: web"));
    let output = longshore(&folder, &["-"], r#"[{"name": "app", "image": "nginx", "cpu": "1"}]"#);
    assert_eq!(output.status.code(), Some(1));
    let said: Vec<_> = text(&output.stderr).lines().collect();
    assert_eq!(said[0], "standard input: family: required, as there is no file name to name the TaskDefinition after");
    assert!(said[1].starts_with("standard input: [0].cpu: expected an integer"), "{said:?}");
}
