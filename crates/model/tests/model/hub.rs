//! Downloads from a hub on loopback: whole, interrupted, wrong, refused, missing, and from the cache alone.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use crate::hub_server::{COMMIT, Hub, Served, sha256};
use matryo_model::{HubOptions, HubProgress, ModelError, ModelFolder, NnError, resolve};
use matryo_testkit::tiny_bert;
use tempfile::TempDir;

const NAME: &str = "some-org/tiny";

fn small(bytes: &[u8]) -> Served {
    Served {
        bytes: bytes.to_vec(),
        ..Served::default()
    }
}

fn large(bytes: &[u8]) -> Served {
    Served {
        large: true,
        ..small(bytes)
    }
}

/// 300,000 bytes that are not all alike.
fn weights() -> Vec<u8> {
    (0..300_000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

/// A hub with a model of two small files and one large one, and an empty cache.
fn hub() -> (Hub, TempDir) {
    let files = [
        ("config.json", small(b"{}")),
        ("1_Pooling/config.json", small(b"{\"a\":1}")),
    ];
    let hub = Hub::start(&[&files[..], &[("model.safetensors", large(&weights()))]].concat());
    hub.set(|state| {
        drop(
            state
                .files
                .insert("pytorch_model.bin".into(), small(b"pickle")),
        )
    });
    (hub, tempfile::tempdir().unwrap())
}

fn options(hub: &Hub, cache: &TempDir) -> HubOptions {
    HubOptions {
        endpoint: hub.endpoint.clone(),
        cache: cache.path().to_owned(),
        token: None,
        offline: false,
        revision: None,
        backoff: Duration::from_millis(1),
    }
}

fn get(hub: &Hub, cache: &TempDir) -> Result<PathBuf, ModelError> {
    resolve(NAME, &options(hub, cache), &())
}

fn root(cache: &TempDir) -> PathBuf {
    cache.path().join("models--some-org--tiny")
}

fn gets(hub: &Hub, name: &str) -> Vec<Option<usize>> {
    let seen = hub
        .seen()
        .into_iter()
        .filter(|r| r.method == "GET" && r.path.ends_with(name));
    seen.map(|r| r.range).collect()
}

#[test]
fn a_model_lands_in_the_standard_cache() {
    let (hub, cache) = hub();
    let folder = get(&hub, &cache).unwrap();
    assert_eq!(folder, root(&cache).join("snapshots").join(COMMIT));
    assert_eq!(
        fs::read(folder.join("model.safetensors")).unwrap(),
        weights()
    );
    assert_eq!(
        fs::read(folder.join("1_Pooling/config.json")).unwrap(),
        b"{\"a\":1}"
    );
    assert!(!folder.join("pytorch_model.bin").exists());
    assert_eq!(
        fs::read_to_string(root(&cache).join("refs/main")).unwrap(),
        COMMIT
    );
    assert!(
        root(&cache)
            .join("blobs")
            .join(sha256(&weights()))
            .is_file()
    );
}

#[cfg(unix)]
#[test]
fn snapshots_link_relatively_as_in_python() {
    let (hub, cache) = hub();
    let folder = get(&hub, &cache).unwrap();
    let link = |file: &str| fs::read_link(folder.join(file)).unwrap();
    assert_eq!(
        link("model.safetensors"),
        Path::new("../../blobs").join(sha256(&weights()))
    );
    assert!(link("1_Pooling/config.json").starts_with("../../../blobs"));
}

#[test]
fn a_second_call_downloads_nothing() {
    let (hub, cache) = hub();
    get(&hub, &cache).unwrap();
    let before = hub.seen().len();
    get(&hub, &cache).unwrap();
    assert_eq!(
        hub.seen().len(),
        before + 1,
        "one look at the list of files"
    );
}

#[test]
fn a_broken_connection_is_resumed_where_it_stopped() {
    let (hub, cache) = hub();
    hub.set(|state| state.files.get_mut("model.safetensors").unwrap().cuts = vec![100_000, 50_000]);
    let folder = get(&hub, &cache).unwrap();
    assert_eq!(
        fs::read(folder.join("model.safetensors")).unwrap(),
        weights()
    );
    // Each is seen twice: by the hub, which redirects, and by the host of large files.
    let expected = [
        None,
        None,
        Some(100_000),
        Some(100_000),
        Some(150_000),
        Some(150_000),
    ];
    assert_eq!(gets(&hub, "model.safetensors"), expected);
}

#[test]
fn a_killed_download_is_resumed_by_the_next_run() {
    let (hub, cache) = hub();
    let blobs = root(&cache).join("blobs");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(
        blobs.join(format!("{}.incomplete", sha256(&weights()))),
        &weights()[..200_000],
    )
    .unwrap();
    let folder = get(&hub, &cache).unwrap();
    assert_eq!(gets(&hub, "model.safetensors"), [Some(200_000); 2]);
    assert_eq!(
        fs::read(folder.join("model.safetensors")).unwrap(),
        weights()
    );
}

#[test]
fn a_wrong_beginning_is_thrown_away() {
    let (hub, cache) = hub();
    let blobs = root(&cache).join("blobs");
    fs::create_dir_all(&blobs).unwrap();
    for size in [1_000, 300_000, 300_001] {
        fs::write(
            blobs.join(format!("{}.incomplete", sha256(&weights()))),
            vec![7; size],
        )
        .unwrap();
        let folder = get(&hub, &cache).unwrap();
        assert_eq!(
            fs::read(folder.join("model.safetensors")).unwrap(),
            weights(),
            "{size}"
        );
        fs::remove_dir_all(folder).unwrap();
        fs::remove_file(blobs.join(sha256(&weights()))).unwrap();
    }
}

#[test]
fn a_server_without_ranges_sends_it_again() {
    let (hub, cache) = hub();
    hub.set(|state| {
        let file = state.files.get_mut("model.safetensors").unwrap();
        (file.cuts, file.no_ranges) = (vec![100_000], true);
    });
    let folder = get(&hub, &cache).unwrap();
    assert_eq!(
        fs::read(folder.join("model.safetensors")).unwrap(),
        weights()
    );
}

#[test]
fn a_truncated_file_never_gets_its_name() {
    let (hub, cache) = hub();
    hub.set(|state| state.files.get_mut("model.safetensors").unwrap().cuts = vec![10; 20]);
    let error = get(&hub, &cache).unwrap_err();
    assert!(
        matches!(
            error,
            ModelError::HubNetwork { .. } | ModelError::HubTruncated { .. }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("model.safetensors"), "{error}");
    assert!(error.hint().is_some());
    assert!(!root(&cache).join("blobs").join(sha256(&weights())).exists());
    assert!(!root(&cache).join("refs/main").exists());
}

#[test]
fn a_wrong_checksum_is_an_error_and_leaves_nothing() {
    let (hub, cache) = hub();
    let announced = sha256(b"something else");
    hub.set(|state| {
        state.files.get_mut("model.safetensors").unwrap().false_hash = Some(announced.clone())
    });
    match get(&hub, &cache).unwrap_err() {
        ModelError::HubChecksum {
            found, expected, ..
        } => {
            assert_eq!((found, expected), (sha256(&weights()), announced.clone()));
        }
        other => panic!("{other}"),
    }
    let left: Vec<_> = fs::read_dir(root(&cache).join("blobs"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert!(
        left.iter()
            .all(|name| !name.to_str().unwrap().starts_with(&announced)),
        "{left:?}"
    );
}

#[test]
fn a_busy_server_is_asked_again() {
    let (hub, cache) = hub();
    hub.set(|state| state.busy = 3);
    get(&hub, &cache).unwrap();
    hub.set(|state| state.busy = 100);
    let error = get(&hub, &TempDir::new().unwrap()).unwrap_err();
    assert!(
        matches!(error, ModelError::HubStatus { status: 503, .. }),
        "{error}"
    );
}

#[test]
fn gated_models_need_a_token() {
    let (hub, cache) = hub();
    hub.set(|state| state.token = Some("hf_secret".into()));
    let error = get(&hub, &cache).unwrap_err();
    assert!(
        matches!(
            error,
            ModelError::HubDenied {
                gated: true,
                has_token: false,
                status: 401,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("HF_TOKEN"));
    let with_token = HubOptions {
        token: Some("hf_secret".into()),
        ..options(&hub, &cache)
    };
    resolve(NAME, &with_token, &()).unwrap();
}

#[test]
fn the_token_goes_to_the_hub_only() {
    let (hub, cache) = hub();
    let with_token = HubOptions {
        token: Some("hf_secret".into()),
        ..options(&hub, &cache)
    };
    resolve(NAME, &with_token, &()).unwrap();
    let tokens: Vec<_> = hub
        .seen()
        .into_iter()
        .filter(|r| r.method == "GET")
        .collect();
    let of_weights: Vec<_> = tokens
        .iter()
        .filter(|r| r.path.ends_with("model.safetensors"))
        .collect();
    assert_eq!(of_weights.len(), 2);
    assert_eq!(
        (
            of_weights[0].token.as_deref(),
            of_weights[1].token.as_deref()
        ),
        (Some("hf_secret"), None)
    );
}

#[test]
fn missing_models_and_revisions() {
    let (hub, cache) = hub();
    let revision = HubOptions {
        revision: Some("v9".into()),
        ..options(&hub, &cache)
    };
    let error = resolve(NAME, &revision, &()).unwrap_err();
    assert!(
        matches!(&error, ModelError::HubNotFound { revision, .. } if revision == "v9"),
        "{error}"
    );
    hub.set(|state| state.refuse = Some((401, "RepoNotFound")));
    let error = get(&hub, &cache).unwrap_err();
    assert!(matches!(error, ModelError::HubNotFound { .. }), "{error}");
    assert!(error.to_string().contains(NAME));
}

#[test]
fn a_misspelt_folder_that_looks_like_a_name() {
    let (hub, cache) = hub();
    hub.set(|state| state.refuse = Some((404, "RepoNotFound")));
    // Tests run in the crate's folder, where `src/folder` is.
    let error = resolve("src/foldr", &options(&hub, &cache), &()).unwrap_err();
    assert!(error.hint().unwrap().contains("src/folder"), "{error}");
}

#[test]
fn revisions_are_remembered_by_name() {
    let (hub, cache) = hub();
    let folder = resolve(&format!("{NAME}@refs/pr/1"), &options(&hub, &cache), &()).unwrap();
    assert_eq!(
        fs::read_to_string(root(&cache).join("refs/refs/pr/1")).unwrap(),
        COMMIT
    );
    let offline = HubOptions {
        offline: true,
        ..options(&hub, &cache)
    };
    for revision in ["refs/pr/1", COMMIT] {
        assert_eq!(
            resolve(&format!("{NAME}@{revision}"), &offline, &()).unwrap(),
            folder
        );
    }
    let error = resolve(&format!("{NAME}@main"), &offline, &()).unwrap_err();
    assert!(
        matches!(&error, ModelError::HubOffline { revision, .. } if revision == "main"),
        "{error}"
    );
}

/// As `huggingface_hub` 2.4.0 leaves it: refs without a line end, links into blobs, an empty `.no_exist` and locks.
#[cfg(unix)]
#[test]
fn a_cache_made_by_python_is_used_unchanged() {
    let cache = tempfile::tempdir().unwrap();
    let snapshot = root(&cache).join("snapshots").join(COMMIT);
    for folder in ["refs", "blobs", ".no_exist"] {
        fs::create_dir_all(root(&cache).join(folder)).unwrap();
    }
    fs::create_dir_all(cache.path().join(".locks/models--some-org--tiny")).unwrap();
    fs::write(root(&cache).join("refs/main"), COMMIT).unwrap();
    for (i, file) in [
        "config.json",
        "modules.json",
        "1_Pooling/config.json",
        "tokenizer.json",
        "model.safetensors",
    ]
    .into_iter()
    .enumerate()
    {
        let (etag, link) = (format!("{i:040x}"), snapshot.join(file));
        fs::copy(
            tiny_bert().join(file),
            root(&cache).join("blobs").join(&etag),
        )
        .unwrap();
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        let up = if file.contains('/') {
            "../../../blobs"
        } else {
            "../../blobs"
        };
        std::os::unix::fs::symlink(Path::new(up).join(&etag), link).unwrap();
    }
    let (hub, _) = hub();
    let offline = HubOptions {
        offline: true,
        ..options(&hub, &cache)
    };
    let folder = ModelFolder::open(&resolve(NAME, &offline, &()).unwrap()).unwrap();
    assert!(
        folder
            .checkpoint(0)
            .unwrap()
            .has("embeddings.word_embeddings.weight")
    );
    assert_eq!(hub.seen().len(), 0);
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl HubProgress for Heard {
    fn begin(&self, file: &str, size: Option<u64>, done: u64) {
        self.0
            .lock()
            .unwrap()
            .push(format!("begin {file} {size:?} {done}"));
    }

    fn end(&self, file: &str) {
        self.0.lock().unwrap().push(format!("end {file}"));
    }

    fn note(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

#[test]
fn without_a_network_the_cache_is_used_with_a_note() {
    let (hub, cache) = hub();
    let folder = get(&hub, &cache).unwrap();
    // Nobody listens on the discard port of loopback.
    let unreachable = HubOptions {
        endpoint: "http://127.0.0.1:9".into(),
        ..options(&hub, &cache)
    };
    let heard = Heard::default();
    assert_eq!(resolve(NAME, &unreachable, &heard).unwrap(), folder);
    let notes = heard.0.into_inner().unwrap();
    assert!(
        notes.len() == 1 && notes[0].contains("from the cache"),
        "{notes:?}"
    );
    let error = resolve("other/model", &unreachable, &()).unwrap_err();
    assert!(matches!(error, ModelError::HubNetwork { .. }), "{error}");
    assert!(error.hint().is_some());
}

#[test]
fn progress_is_told() {
    let (hub, cache) = hub();
    let heard = Heard::default();
    resolve(NAME, &options(&hub, &cache), &heard).unwrap();
    let heard = heard.0.into_inner().unwrap();
    assert!(
        heard.contains(&"begin model.safetensors Some(300000) 0".to_owned()),
        "{heard:?}"
    );
    assert!(
        heard.contains(&"end model.safetensors".to_owned()),
        "{heard:?}"
    );
}

#[test]
fn a_pickle_is_refused_before_it_is_downloaded() {
    let hub = Hub::start(&[
        ("config.json", small(b"{}")),
        ("pytorch_model.bin", small(b"pickle")),
    ]);
    let error = get(&hub, &tempfile::tempdir().unwrap()).unwrap_err();
    assert!(
        matches!(error, ModelError::Nn(NnError::PickledWeights { .. })),
        "{error}"
    );
    assert_eq!(hub.seen().len(), 1);
}

#[test]
fn two_downloads_at_once_share_one_transfer() {
    let (hub, cache) = hub();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| get(&hub, &cache).unwrap()))
            .collect();
        for run in runs {
            assert_eq!(
                fs::read(run.join().unwrap().join("model.safetensors")).unwrap(),
                weights()
            );
        }
    });
    assert_eq!(
        gets(&hub, "model.safetensors").len(),
        2,
        "one from the hub, one from the host of large files"
    );
}

#[test]
fn paths_are_not_looked_up_on_the_hub() {
    let (hub, cache) = hub();
    assert_eq!(
        resolve(tiny_bert().to_str().unwrap(), &options(&hub, &cache), &()).unwrap(),
        tiny_bert()
    );
    let near = tiny_bert().with_file_name("tiny-bret");
    let error = resolve(near.to_str().unwrap(), &options(&hub, &cache), &()).unwrap_err();
    assert!(error.hint().unwrap().ends_with("tiny-bert?"), "{error}");
    let error = resolve("no-such-folder", &options(&hub, &cache), &()).unwrap_err();
    assert!(matches!(error, ModelError::NoFolder { .. }), "{error}");
    assert_eq!(hub.seen().len(), 0);
}
