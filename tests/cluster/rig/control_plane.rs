//! Starts and ends a control plane by `tools/up.sh` and `tools/down.sh`: one per test, or one for the whole test process.
//!
//! Nothing survives the test process, however it ends: the supervisor that up.sh leaves behind watches its owner.
//! The scratch folder goes too, unless a test has failed or SEALCTL_TEST_KEEP is set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, OnceLock, PoisonError};

/// What is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    /// etcd and kube-apiserver.
    Api,
    /// Controller-manager, scheduler and two fake nodes as well.
    ControlPlane,
}

/// A running control plane and its scratch folder.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    dir: PathBuf,
    kubeconfig: PathBuf,
    kind: Kind,
}

/// Whose control plane it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Started by the rig.
    Ours(Tier),
    /// The user's cluster of SEALCTL_TEST_KUBECONFIG: no audit log, no fake nodes, and namespaces that outlive the run.
    Foreign,
}

/// Scratch folders of the control planes that run now; a failing test makes all of them stay.
static RUNNING: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

impl ControlPlane {
    /// Starts one that ends when the value is dropped. The first start on a machine builds the servers (minutes; progress
    /// goes to the terminal), every other takes two to three seconds.
    ///
    /// # Panics
    /// When it does not start; the reason stands on standard error.
    pub(crate) fn start(tier: Tier) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        keep_folders_of_failures();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir =
            std::env::temp_dir().join(format!("sealctl-cluster-{}-{count}", std::process::id()));
        fs::create_dir_all(&dir).expect("the temp folder is writable");
        RUNNING
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(dir.clone());
        let name = match tier {
            Tier::Api => "api",
            Tier::ControlPlane => "control-plane",
        };
        let owner = std::process::id().to_string();
        let status = Command::new(tool("up.sh"))
            .args(["--tier", name, "--owner", &owner, "--scratch"])
            .arg(&dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .expect("bash runs up.sh");
        assert!(
            status.success(),
            "the control plane did not start; what up.sh said stands above"
        );
        if std::env::var_os("SEALCTL_TEST_KEEP").is_some() {
            fs::write(dir.join("keep"), "").expect("the scratch folder is writable");
            eprintln!("logs and data stay in {}", dir.display());
        }
        Self {
            kubeconfig: dir.join("kubeconfig"),
            dir,
            kind: Kind::Ours(tier),
        }
    }

    /// The control plane that all tests of this process share. It is the full one, or the cluster that
    /// SEALCTL_TEST_KUBECONFIG names; KUBECONFIG and the user's default file are never read.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<ControlPlane> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var_os("SEALCTL_TEST_KUBECONFIG") {
            Some(kubeconfig) => Self::foreign(kubeconfig.into()),
            None => Self::start(Tier::ControlPlane),
        })
    }

    fn foreign(kubeconfig: PathBuf) -> Self {
        let dir =
            std::env::temp_dir().join(format!("sealctl-cluster-{}-foreign", std::process::id()));
        fs::create_dir_all(dir.join("logs")).expect("the temp folder is writable");
        fs::create_dir_all(dir.join("bin")).expect("the temp folder is writable");
        let kubectl = built("kubernetes").join("kubectl");
        std::os::unix::fs::symlink(kubectl, dir.join("bin/kubectl")).expect("a fresh folder");
        Self {
            kubeconfig,
            dir,
            kind: Kind::Foreign,
        }
    }

    /// The scratch folder: `logs/`, `bin/`, `pids/`, and room for a test's own files.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Kubeconfig of the administrator.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Process ids of the servers by name, the supervisor included.
    pub(crate) fn pids(&self) -> Vec<(String, u32)> {
        let entries = fs::read_dir(self.dir.join("pids"))
            .into_iter()
            .flatten()
            .flatten();
        entries
            .filter_map(|entry| {
                let pid = fs::read_to_string(entry.path()).ok()?.trim().parse().ok()?;
                Some((entry.file_name().to_string_lossy().into_owned(), pid))
            })
            .collect()
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        let keep = std::thread::panicking() || self.dir.join("keep").exists();
        let mut down = Command::new(tool("down.sh"));
        if !keep {
            down.arg("--remove");
        }
        // A drop must not panic; the supervisor ends everything with this process at the latest.
        let _ = down.arg(&self.dir).stdin(Stdio::null()).status();
        RUNNING
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|dir| *dir != self.dir);
    }
}

/// Folder with the binaries of a group of `tools/build.sh` (`sops`, `etcd`, ...), built now if they are not there yet.
///
/// # Panics
/// When the build fails; its last lines stand on standard error.
pub(crate) fn built(group: &str) -> PathBuf {
    let output = Command::new(tool("build.sh"))
        .arg(group)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("bash runs build.sh");
    assert!(
        output.status.success(),
        "build.sh {group} failed; what it said stands above"
    );
    PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim_end())
}

/// A script beside the rig.
pub(crate) fn tool(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cluster/tools")
        .join(name)
}

/// The last lines of each log in a folder whose name passes `wanted`.
pub(crate) fn log_tails(logs: &Path, lines: usize, wanted: impl Fn(&str) -> bool) -> String {
    let mut files: Vec<PathBuf> = fs::read_dir(logs)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    let mut text = String::new();
    for file in files {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if !wanted(&name) {
            continue;
        }
        let content = fs::read(&file).unwrap_or_default();
        let content = String::from_utf8_lossy(&content);
        let all: Vec<&str> = content.lines().collect();
        if !all.is_empty() {
            let last = &all[all.len().saturating_sub(lines)..].join("\n");
            text += &[
                "--- ",
                &file.display().to_string(),
                " (last lines)\n",
                last,
                "\n",
            ]
            .concat();
        }
    }
    text
}

/// The name of the running test as it opens the names of its namespaces and of its programs' logs.
pub(crate) fn test_name() -> Option<String> {
    let thread = std::thread::current();
    let test = thread.name()?.rsplit("::").next()?.replace('_', "-");
    let test: String = test.trim_start_matches("k8s-").chars().take(40).collect();
    Some(test.trim_end_matches('-').to_owned())
}

fn keep_folders_of_failures() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        let print_panic = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            print_panic(panic);
            let running = RUNNING
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            let test = test_name().unwrap_or_default();
            for dir in running {
                if fs::write(dir.join("keep"), "").is_ok() {
                    let logs = dir.join("logs");
                    let own = |name: &str| name.starts_with(&test) || name == "supervisor.log";
                    eprint!("{}", log_tails(&logs, 20, own));
                    eprintln!("logs of the control plane stay in {}", logs.display());
                }
            }
        }));
    });
}
