//! Saving a model in both layouts, for tests that compare the copies with it.

use std::path::Path;

use matryo_model::{FolderLayout, SaveOptions, SentenceEncoder, Trainable, save};

/// Saves a model in the old layout and in the new one. `check` gets the layout, the folder, and the copy, opened for use.
pub fn in_both_layouts(
    model: &SentenceEncoder<Trainable>,
    check: impl Fn(FolderLayout, &Path, SentenceEncoder),
) {
    for layout in [FolderLayout::Old, FolderLayout::New] {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("saved");
        let options = SaveOptions {
            layout,
            ..SaveOptions::default()
        };
        save(&target, model.folder(), model.network().params(), &options).unwrap();
        check(layout, &target, SentenceEncoder::open(&target).unwrap());
    }
}
