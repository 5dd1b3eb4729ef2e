//! Canaries: values that must be found in the Secret objects and nowhere else, in no encoding, also while things fail.
//!
//! They stand in a value, a derived value, the superuser's password and the identity. Searched is everything that seald and sealctl
//! leave behind: logs at their most detailed, Events, status, metrics, probes, Jobs, pod templates, ConfigMaps, command lines,
//! files.
#![expect(
    clippy::disallowed_methods,
    reason = "searches files and command lines"
)]

mod needle;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use self::needle::Needle;
use super::rig::{Proxy, deployment};
use super::world::{Doc, SOON, Seald, World};

/// Characters that every encoding writes in its own way.
fn canary(name: &str) -> String {
    format!(
        "CaNaRy {name}/+?&=\"'\\ü-{:016x}",
        0x5ea1_dca7_0a5e_u64 ^ name.len() as u64
    )
}

/// What must not be seen, and one text per place where it was looked for.
struct Search {
    needles: Vec<Needle>,
    places: Vec<(String, Vec<u8>)>,
}

impl Search {
    fn add(&mut self, place: &str, text: impl Into<Vec<u8>>) {
        self.places.push((place.to_owned(), text.into()));
    }

    /// Every file of a folder, but for those of the identity.
    fn add_files(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.ends_with("identity") {
                continue;
            }
            if path.is_dir() {
                self.add_files(&path);
            } else {
                self.add(&path.to_string_lossy(), fs::read(&path).unwrap_or_default());
            }
        }
    }

    /// Command line of every process that we may look at, and the environment of one.
    fn add_processes(&mut self, seald: &Seald) {
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            self.add(&format!("command line of {}", entry.path().display()), line);
        }
        let environment = fs::read(format!("/proc/{}/environ", seald.pid())).unwrap_or_default();
        self.add("seald's environment", environment);
    }

    fn assert_clean(&self) {
        let mut found = Vec::new();
        for (place, text) in &self.places {
            for needle in &self.needles {
                if let Some(form) = needle.is_in(text) {
                    found.push(format!("{} in {place}, {form}", needle.name));
                }
            }
        }
        assert!(
            found.is_empty(),
            "found where it must not be:\n{}",
            found.join("\n")
        );
    }
}

impl World {
    /// Everything that the cluster shows of this world, the Secrets apart.
    async fn shown(&self, search: &mut Search) {
        let kinds = "sealedenvs,deployments,replicasets,pods,jobs,configmaps,events,leases";
        for namespace in [&self.namespace, &self.home] {
            let args = [
                "-n",
                namespace,
                "get",
                kinds,
                "-o",
                "json",
                "--show-managed-fields",
            ];
            search.add(
                &format!("objects of {namespace}"),
                self.cluster.kubectl_ok(&args).await,
            );
            let annotations = [
                "-n",
                namespace,
                "get",
                "secrets",
                "-o",
                "jsonpath={range .items[*]}{.metadata}{end}",
            ];
            search.add(
                &format!("metadata of Secrets of {namespace}"),
                self.cluster.kubectl_ok(&annotations).await,
            );
        }
    }

    /// The Secrets themselves: there, and only there, the values are.
    async fn secrets(&self) -> Vec<u8> {
        self.cluster
            .kubectl_ok(&["-n", &self.namespace, "get", "secrets", "-o", "json"])
            .await
            .into_bytes()
    }
}

async fn look(world: &World, seald: &Seald, search: &mut Search) {
    world.shown(search).await;
    search.add("metrics", seald.metrics().await);
    for path in ["/readyz?verbose", "/livez?verbose", "/"] {
        let body = seald
            .probe(path)
            .await
            .map(|answer| answer.body)
            .unwrap_or_default();
        search.add(path, body);
    }
    search.add("seald's log", seald.log());
    search.add_processes(seald);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_c_canaries_are_in_the_secrets_and_nowhere_else_also_while_things_fail() {
    let world = World::new().await;
    let (value, password) = (canary("value"), canary("password"));
    let derived = format!("derived-{value}-from-it");
    let identity = world.identity.text();
    let needles = vec![
        Needle::new("the value", value.as_bytes()),
        Needle::new("the derived value", derived.as_bytes()),
        Needle::new("the superuser's password", password.as_bytes()),
        Needle::new("the identity", identity.expose()),
    ];
    let mut search = Search {
        needles,
        places: Vec::new(),
    };
    let doc = |round: &str| {
        Doc::of("web")
            .config("HOST", round)
            .secret("VALUE", &value)
            .secret("ROUND", round)
            .derived("DERIVED", "derived-{{ VALUE }}-from-it")
            .superuser(&password)
    };
    let web = deployment("web")
        .reads_env_from_secret("web-secrets")
        .reads_env_from_config_map("web-config")
        .clones_say("created")
        .clones_run_for(Duration::from_secs(4));
    world.runs(web).await;
    let proxy = Proxy::start(&world.cluster).await;
    let mut seald = world
        .seald_on_folder()
        .through(&proxy)
        .await
        .level("trace")
        .start()
        .await;
    let first = world.grant_and_store(&doc("1")).await;

    // The Job runs: the credentials are in their Secret now.
    world
        .cluster
        .eventually(
            "the superuser Job to run",
            SOON,
            &world.namespace,
            async || {
                let jobs = world.jobs().await;
                jobs.iter()
                    .any(|job| {
                        job.status
                            .as_ref()
                            .is_some_and(|status| status.active == Some(1))
                    })
                    .then_some(())
            },
        )
        .await;
    let secrets = world.secrets().await;
    for needle in &search.needles[..3] {
        assert!(
            needle.is_in(&secrets).is_some(),
            "{} must be found where it belongs",
            needle.name
        );
    }
    look(&world, &seald, &mut search).await;
    world.synced("web", first).await;
    search.assert_clean();

    // The API server answers with the value in its message, and with what is no answer.
    let status = |code: u16, reason: &str| {
        let message =
            serde_json::json!(format!("cannot take {value} and {derived} and {password}"));
        format!(
            r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":{message},"reason":"{reason}","code":{code}}}"#
        )
    };
    let malformed = format!(
        r#"{{"kind":"Secret","data":{{"VALUE":"{}"#,
        needle::base64(value.as_bytes())
    );
    let troubles = [
        (422, status(422, "Invalid")),
        (400, status(400, "BadRequest")),
        (200, malformed),
        (500, value.clone()),
    ];
    for (round, (code, body)) in troubles.into_iter().enumerate() {
        proxy.answer_text(2, code, &body, |record| {
            record.is_work() && record.path.contains("/secrets/")
        });
        proxy.answer_text(1, code, &body, |record| {
            record.method == "GET" && record.path.contains("/secrets/")
        });
        let revision = world.store(&doc(&format!("trouble-{round}")));
        let tried = world.cluster.eventually(
            "a write to be answered badly",
            SOON,
            &world.namespace,
            async || {
                proxy
                    .records()
                    .iter()
                    .any(|record| record.status == Some(code) && record.is_work())
                    .then_some(())
            },
        );
        tried.await;
        look(&world, &seald, &mut search).await;
        proxy.answer_truly();
        // Some of these answers are final until the document changes.
        let again = world.store(&doc(&format!("mended-{round}")));
        assert!(again > revision);
        world.synced("web", again).await;
    }

    // Documents that fail after their values were opened.
    let opened = [
        doc("x").text(&world).replace(
            "  ROUND: \"x\"",
            &format!("  ROUND: {}", serde_json::json!(format!("{value}\0"))),
        ),
        doc("x")
            .text(&world)
            .replace("  DERIVED:", "  \"DER/IVED\":"),
    ];
    for plain in opened {
        let sealed = world.seal(&plain);
        world.store_text("web", &sealed);
        world.says("web", "Decrypted", "InvalidDocument").await;
        look(&world, &seald, &mut search).await;
    }
    let last = world.store(&doc("last"));
    world.synced("web", last).await;
    look(&world, &seald, &mut search).await;
    seald.stop(Duration::from_secs(10)).await;
    search.add("seald's log", seald.log());
    search.add_files(&world.project);
    assert!(
        seald.log().lines().count() > 50,
        "the log is a detailed one"
    );
    search.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn k8s_a_sealctl_prints_no_canary_unless_it_is_asked_for_the_value() {
    let world = World::new().await;
    let value = canary("value");
    let needles = vec![
        Needle::new("the value", value.as_bytes()),
        Needle::new("the identity", world.identity.text().expose()),
        Needle::new("any identity", b"AGE-SECRET-KEY-1"),
    ];
    let mut search = Search {
        needles,
        places: Vec::new(),
    };
    let doc = Doc::of("web")
        .config("HOST", "h")
        .secret("VALUE", &value)
        .derived("DERIVED", "x-{{ VALUE }}");
    world.grant_and_store(&doc).await;
    let identity = world.identity_folder().join(&world.environment);
    let elsewhere = tempfile::tempdir().expect("room for a scratch folder");
    let environment = world.environment.clone();
    let run = |folder: &Path, args: &[&str], input: &str| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sealctl"))
            .args(args)
            .current_dir(folder)
            .env_clear()
            .env("HOME", elsewhere.path())
            .env("PATH", "/usr/bin:/bin")
            .env("EDITOR", "sed -i s/HOST:/HOSTNAME:/")
            .env("SEALCTL_LOG_LEVEL", "trace")
            .env("SOPS_AGE_KEY_FILE", &identity)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sealctl runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        // Who reads nothing may have closed it already.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("sealctl runs")
    };
    let file = format!("envs/{environment}/web.yaml");
    for args in [
        &["show", "-e", &*environment][..],
        &["check"],
        &["render", "-e", &environment],
        &["rbac", "-e", &environment],
        &["get", "MISSING", "-e", &environment],
        &["decrypt", "envs/none.yaml"],
    ] {
        let output = run(&world.project, args, "");
        let printed = [output.stdout, output.stderr].concat();
        search.add(&format!("sealctl {}", args.join(" ")), printed);
    }
    let said_in_clear = run(&world.project, &["decrypt", &file], "");
    for (folder, args, input) in [
        (
            &*world.project,
            &["set", "ANOTHER", "-", "-e", &*environment][..],
            &*value,
        ),
        (&world.project, &["edit", "-e", &environment, "--yes"], ""),
        (
            &world.project,
            &["unset", "ANOTHER", "-e", &environment],
            "",
        ),
        (&world.project, &["decrypt", "-i", "--yes", &file], ""),
        (&world.project, &["encrypt", &file], ""),
        (
            elsewhere.path(),
            &["init", "--app", "web", "--env", "dev", "--name", "ann"],
            "",
        ),
        (elsewhere.path(), &["key", "new", "--out", "other"], ""),
    ] {
        let output = run(folder, args, input);
        let printed = [output.stdout, output.stderr].concat();
        let command = format!("sealctl {}", args.join(" "));
        let shown = String::from_utf8_lossy(&printed).replace(&value, "CANARY");
        assert!(output.status.success(), "{command}: {shown}");
        search.add(&command, printed);
    }
    search.add_files(&world.project.join("envs"));
    search.assert_clean();
    // The search finds what is there: in what prints the value on request, and in a place that holds it.
    let output = run(&world.project, &["get", "VALUE", "-e", &environment], "");
    for printed in [said_in_clear.stdout, output.stdout] {
        assert!(search.needles[0].is_in(&printed).is_some(), "not found");
        let mut planted = Search {
            needles: vec![Needle::new("the value", value.as_bytes())],
            places: Vec::new(),
        };
        planted.add("a place", printed);
        let found = std::panic::catch_unwind(|| planted.assert_clean());
        assert!(found.is_err(), "a planted canary was not found");
    }
}
