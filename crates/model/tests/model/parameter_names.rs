//! Names of parameters in sentence-transformers 6.2, by which learning rates are chosen.

use std::{collections::BTreeSet, path::Path};

use matryo_model::SentenceEncoder;
use serde_json::Value;

#[test]
fn every_parameter_has_its_name_upstream() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let golden: Value =
        serde_json::from_str(include_str!("../golden/parameter_names.json")).unwrap();
    for (folder, names) in golden.as_object().unwrap() {
        let path = crates.join("testkit").join(folder).join("model");
        let ops = matryo_ops::cpu();
        let model = SentenceEncoder::open_for_training(path, ops, &[]).unwrap();
        let names = names.as_array().unwrap().iter();
        let expected: BTreeSet<&str> = names.map(|name| name.as_str().unwrap()).collect();
        let mut found = BTreeSet::new();
        for entry in &model.network().params().layout.entries {
            let known: Vec<&str> = entry.upstream.iter().map(String::as_str).collect();
            let name = known.iter().find(|name| expected.contains(*name));
            let name = name.unwrap_or_else(|| panic!("{folder}: no {known:?}"));
            assert!(found.insert(name.to_string()), "{folder}: {name} twice");
        }
        // No embedding depends on the others.
        let unused = expected.iter().filter(|name| !found.contains(**name));
        for name in unused {
            assert!(name.contains(".pooler."), "{folder}: {name}");
        }
    }
}
