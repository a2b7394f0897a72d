//! The end of a run: the summary, the best weights, the final folder and its card.

use std::io::Write;

use matryo_base::write_atomic;
use matryo_model::{
    Embed, ModelError, ModelFolder, Role, SaveOptions, SentenceEncoder, Trainable, save,
};
use serde_json::json;

use crate::{
    BestStep, TrainError, TrainOutcome,
    card::{self, CardData},
    checkpoint,
    events::Event,
    numbers::round,
    record::{self, Final},
    run::Run,
    trainer_state, weights,
};

/// Ends a run whose last step is done.
pub(crate) fn finish(mut run: Run<'_>) -> Result<TrainOutcome, TrainError> {
    let train_loss = summarise(&mut run);
    let saved_step = take_best(&mut run)?;
    save_final(&run, saved_step)?;
    let output_dir = run.trainer.config.output_dir.clone();
    run.observer.event(&Event::Saved { path: &output_dir });
    let outcome = outcome(&run, saved_step, train_loss);
    run.observer.event(&Event::Done(&outcome));
    Ok(outcome)
}

/// The last entry of the log, with upstream's keys; returns the mean loss of a step.
fn summarise(run: &mut Run<'_>) -> f64 {
    let (progress, config) = (&run.progress, &run.trainer.config);
    let runtime = progress.seconds.training + progress.seconds.evaluation;
    let train_loss = progress.losses.mean(progress.step);
    let samples = if config.max_steps > 0 {
        config.max_steps as f64
            * (config.per_device_train_batch_size as u64 * config.gradient_accumulation_steps)
                as f64
    } else {
        config.num_train_epochs * run.trainer.rows() as f64
    };
    let entry = [
        ("train_runtime", round(runtime, 4)),
        ("train_samples_per_second", round(samples / runtime, 3)),
        (
            "train_steps_per_second",
            round(progress.step as f64 / runtime, 3),
        ),
        ("total_flos", 0.0),
        ("train_loss", train_loss),
    ];
    run.log(entry.map(|(key, value)| (key.to_owned(), json!(value))));
    train_loss
}

/// Puts the best checkpoint's weights into the model, if that was asked for, and returns the step that the model is of.
fn take_best(run: &mut Run<'_>) -> Result<u64, TrainError> {
    let config = &run.trainer.config;
    let output_dir = config.output_dir.clone();
    let Some(best) = run
        .progress
        .best
        .checkpoint
        .filter(|_| config.load_best_model_at_end)
    else {
        return Ok(run.progress.step);
    };
    if config.save_total_limit == Some(1) {
        let others = checkpoint::list(&output_dir)
            .into_iter()
            .filter(|(step, _)| *step != best);
        others
            .map(|(_, path)| path)
            .try_for_each(|path| checkpoint::remove(&path))?;
    }
    if best != run.progress.step {
        let params = run.trainer.model.network_mut().params_mut();
        weights::read(&checkpoint::path(&output_dir, best), params)?;
    }
    Ok(best)
}

/// Model, trainer_state.json, card and its record, in the output folder.
fn save_final(run: &Run<'_>, saved_step: u64) -> Result<(), TrainError> {
    let model = &run.trainer.model;
    let folder = &run.trainer.config.output_dir;
    let params = model.network().params();
    save(
        folder,
        model.folder(),
        params,
        &SaveOptions {
            card: None,
            ..run.save_options()
        },
    )?;
    let state = run.state().to_json();
    write_atomic(&folder.join(trainer_state::FILE), |file| {
        file.write_all(state.as_bytes())
    })?;
    let last = Final {
        weights_sha256: Some(weights::hash_of(&ModelFolder::open(folder)?)?),
    };
    let mut data = run
        .facts
        .card(&run.trainer.config, &run.progress, saved_step, last);
    add_similarities(&mut data, model)?;
    let text = card::render(&data)?;
    write_atomic(&folder.join("README.md"), |file| {
        file.write_all(text.as_bytes())
    })?;
    Ok(card::save_record(folder, &data)?)
}

/// Adds how similar the example's sentences are to its source: as documents and query where the card's example of use encodes
/// them so.
fn add_similarities(
    data: &mut CardData,
    model: &SentenceEncoder<Trainable>,
) -> Result<(), ModelError> {
    let roles = match data.is_retrieval() {
        true => [Role::Query, Role::Document],
        false => [Role::Plain; 2],
    };
    let has_route = |role: &Role| model.tokenizer_of(*role).is_ok();
    let Some(training) = &mut data.training else {
        return Ok(());
    };
    if let Some(example) = training
        .widget
        .first()
        .filter(|_| roles.iter().all(has_route))
    {
        let source = model.embed(&[&example.source_sentence], roles[0])?;
        let sentences: Vec<&str> = example.sentences.iter().map(String::as_str).collect();
        let sentences = model.embed(&sentences, roles[1])?;
        training.usage_similarities = Some(model.similarity(&source, &sentences).into_vec());
    }
    Ok(())
}

fn outcome(run: &Run<'_>, saved_step: u64, train_loss: f64) -> TrainOutcome {
    let (progress, config) = (&run.progress, &run.trainer.config);
    let saved = progress
        .evaluations
        .iter()
        .rev()
        .find(|evaluation| evaluation.step == saved_step);
    let best = progress
        .best
        .checkpoint
        .filter(|_| config.load_best_model_at_end);
    let metric = config.best_metric_key().map(ToOwned::to_owned);
    TrainOutcome {
        output_dir: config.output_dir.clone(),
        steps: progress.step,
        saved_step,
        best: best
            .zip(metric)
            .zip(progress.best.value)
            .map(|((step, metric), value)| BestStep {
                metric,
                value,
                step,
            }),
        before: progress.base_reports().iter().map(record::report).collect(),
        after: saved
            .map(|evaluation| evaluation.reports.iter().map(record::report).collect())
            .unwrap_or_default(),
        train_loss,
        training_seconds: progress.seconds.training,
        evaluation_seconds: progress.seconds.evaluation,
    }
}
