//! A complete folder opens, and its weights and tokenizer with it.

use matryo_model::{ModelFolder, Tokenizer};
use matryo_testkit::tiny_bert;

#[test]
fn the_old_layout_opens() {
    let folder = ModelFolder::open(&tiny_bert()).unwrap();
    let input = folder.input;
    assert_eq!(
        (input.max_seq_length, input.do_lower_case, folder.dim()),
        (128, false, 32)
    );
    assert!(folder.include_prompt(0));
    assert_eq!(
        folder.summaries(),
        ["Transformer", "Pooling(mean)", "Normalize"]
    );
    let paths: Vec<&str> = folder.modules.iter().map(|module| &*module.path).collect();
    assert_eq!(paths, ["", "1_Pooling", "2_Normalize"]);
    assert_eq!(folder.notes, [] as [&str; 0]);
}

#[test]
fn weights_are_read_whole_and_by_row() {
    let folder = ModelFolder::open(&tiny_bert()).unwrap();
    let weights = folder.checkpoint(0).unwrap();
    let name = "embeddings.word_embeddings.weight";
    assert_eq!(weights.shape(name), Some(&[3000, 32][..]));
    let mut table = vec![0.0; 3000 * 32];
    weights.read(name, &[3000, 32], &mut table).unwrap();
    let mut rows = vec![0.0; 3 * 32];
    weights.read_rows(name, &[2999, 0, 7], &mut rows).unwrap();
    assert_eq!(rows[..32], table[2999 * 32..]);
    assert_eq!(rows[32..64], table[..32]);
    assert_eq!(rows[64..], table[7 * 32..8 * 32]);
    weights.release();
    weights.read_rows(name, &[2999], &mut rows[32..64]).unwrap();
    assert_eq!(rows[32..64], table[2999 * 32..]);
}

#[test]
fn texts_are_cut_to_a_length_with_special_tokens() {
    let tokenizer = Tokenizer::open(&ModelFolder::open(&tiny_bert()).unwrap()).unwrap();
    let long = "the company ".repeat(100);
    let whole = tokenizer.encode(&long, 1000).unwrap();
    assert!(!whole.truncated && whole.full_len == whole.ids.len());
    let cut = tokenizer.encode(&long, 16).unwrap();
    assert!(cut.truncated);
    assert_eq!((cut.ids.len(), cut.full_len), (16, whole.full_len));
    assert_eq!(cut.ids[..15], whole.ids[..15]);
    assert_eq!(cut.ids[15], *whole.ids.last().unwrap());
}
