//! Hidden states and embeddings equal those of transformers and sentence-transformers.

use matryo_model::{EncodeOptions, SentenceEncoder};
use matryo_testkit::{Tolerance, assert_close, tiny_bert};
use serde_json::json;

use crate::tiny::*;

const CLOSE: Tolerance = Tolerance::Absolute(1e-5);

#[test]
fn every_hidden_state_of_ragged_texts() {
    let (golden, model) = (golden(), for_training(&tiny_bert()));
    let expected = &golden["hidden_states"];
    let (batch, used) = (whole_batch(&model), for_inference(&tiny_bert()));
    for (name, features) in [
        ("training", model.network().features(&batch, true)),
        ("inference", used.network().features(&batch, true)),
    ] {
        let states = features.taps();
        assert_eq!(states.len(), expected.shape[0]);
        let values: Vec<f32> = states
            .iter()
            .flat_map(|state| state.data().to_vec())
            .collect();
        assert_close(
            &values,
            &expected.data,
            CLOSE,
            &format!("hidden states, opened for {name}"),
        );
        let last = features.tokens().unwrap().to_mat();
        assert_eq!(last, states[states.len() - 1]);
    }
}

#[test]
fn every_pooling_mode() {
    let golden = golden();
    for (_, mode) in MODES {
        let model = for_inference(pooled(&[mode], true).path());
        let found = model.encode(&texts()).unwrap();
        assert_close(
            found.data(),
            &golden[&format!("pool.{mode}")].data,
            CLOSE,
            mode,
        );
    }
    let all = for_inference(pooled(&MODES.map(|(_, mode)| mode), true).path());
    assert_eq!(all.network().dim(), 6 * 32);
    assert_close(
        all.encode(&texts()).unwrap().data(),
        &golden["pool.all"].data,
        CLOSE,
        "all modes",
    );
}

#[test]
fn a_prompt_counts_or_not() {
    let golden = golden();
    let options = EncodeOptions {
        prompt: Some(prompt()),
        ..EncodeOptions::default()
    };
    for (include, kind) in [(true, "prompt"), (false, "excluded")] {
        for (_, mode) in MODES {
            let model = for_inference(pooled(&[mode], include).path());
            let found = model.encode_with(&texts(), &options).unwrap().embeddings;
            let name = format!("{kind}.{mode}");
            assert_close(found.data(), &golden[&name].data, CLOSE, &name);
        }
    }
}

#[test]
fn a_dense_layer_over_all_modes() {
    let model = for_inference(with_dense().path());
    assert_eq!(model.network().dim(), 24);
    assert_close(
        model.encode(&texts()).unwrap().data(),
        &golden()["dense"].data,
        CLOSE,
        "dense",
    );
}

#[test]
fn every_activation() {
    let golden = golden();
    for name in ["gelu_new", "relu", "silu"] {
        let dir = copy_of_tiny();
        edit(dir.path(), "config.json", |config| {
            config["hidden_act"] = json!(name)
        });
        let found = SentenceEncoder::open(dir.path())
            .unwrap()
            .encode(&texts())
            .unwrap();
        assert_close(
            found.data(),
            &golden[&format!("act.{name}")].data,
            CLOSE,
            name,
        );
    }
}

#[test]
fn training_without_dropout_sees_what_inference_sees() {
    let dir = with_dense();
    let model = for_training(dir.path());
    let (embeddings, activations) = model.network().forward(whole_batch(&model), 3);
    assert_eq!(activations.texts(), texts().len());
    let inference = for_inference(dir.path())
        .network()
        .embed(&whole_batch(&model));
    assert_close(
        embeddings.data(),
        inference.data(),
        Tolerance::Absolute(1e-6),
        "forward against embed",
    );
}

#[test]
fn buffers_of_another_batch_leave_no_trace() {
    let (model, used) = (for_training(&tiny_bert()), for_inference(&tiny_bert()));
    let encoder = used.network();
    let (small, large) = (batch(&model, &[1, 2]), whole_batch(&model));
    let fresh = encoder.embed(&small);
    encoder.embed(&large);
    assert_eq!(encoder.embed(&small), fresh);
    assert_eq!(encoder.embed(&batch(&model, &[])).rows(), 0);
}
