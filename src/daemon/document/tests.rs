//! Documents under the keys of the record.

use super::*;
use crate::crypto::Identity;
use crate::daemon::shell::scripted::{PLAIN, config, seal, sealed_env, shell};

#[tokio::test]
async fn trouble_of_the_source_changes_nothing_of_what_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::generate();
    let (shell, _server) = shell(config(folder.path(), Some(&identity), "warn"));
    shell.sources.start();
    let seen = sealed_env(seal(&identity, PLAIN, 1));
    let mut documents = Documents::new(shell.clone(), seen.scope.clone());
    assert!(documents.read(seen).await.document.resolved.is_ok());
    // The keys of the record are others than those that were made up before it was read.
    let keys = fresh_keys().unwrap();
    let desired = documents.take_keys(keys, true).await.unwrap().unwrap();
    let trouble = Outcome::new(Reason::SourceInvalid, "the file is broken");
    shell.sources.report(None, Some(trouble.clone()));
    let document = documents.source_changed().unwrap();
    assert_eq!(document.source, trouble);
    let told = document.resolved.unwrap().desired;
    assert_eq!(told, desired);
    let content = documents.content(Some(&told)).await;
    assert!(content.is_ok(), "what is wanted can be written");
}
