//! A training run on a terminal: what runs, a bar, and a table after each evaluation.

use indicatif::ProgressBar;
use matryo_train::{
    Event, Observer, TrainOutcome,
    events::{RunPlan, StepEvent},
};

use super::plan;
use crate::{
    console::Console,
    metrics,
    progress::{bar, duration, grouped},
    table,
};

const TEMPLATE: &str = "{bar:14} {pos}/{len} {wide_msg}";

/// Shows events to a person.
pub struct TrainBar {
    console: Console,
    bar: ProgressBar,
}

impl TrainBar {
    /// Draws on stderr, which must be a terminal.
    pub fn new(console: Console) -> Self {
        Self {
            console,
            bar: ProgressBar::hidden(),
        }
    }

    fn plan(&mut self, plan: &RunPlan) {
        self.console
            .say(table::pairs(&plan::describe(plan)).trim_end());
        plan.notes.iter().for_each(|note| self.console.note(note));
        self.bar = bar(&self.console, plan.steps, TEMPLATE);
    }

    /// Writes lines above the bar.
    fn above(&self, write: impl FnOnce(&Console)) {
        self.bar.suspend(|| write(&self.console));
    }

    fn step(&self, step: &StepEvent) {
        self.bar.set_position(step.step);
        self.bar.set_message(format!(
            "loss {:.4}  lr {:.2e}  grad {:.3}  {} tok/s  {} left",
            step.loss,
            step.learning_rate,
            step.grad_norm,
            // Rounded for the eye.
            grouped(step.tokens_per_second as u64),
            duration(step.remaining)
        ));
    }

    fn done(&self, outcome: &TrainOutcome) {
        self.bar.finish_and_clear();
        let best = outcome.best.as_ref();
        let best = best.map_or_else(String::new, |best| {
            format!(", best by {}: {:.4}", best.metric, best.value)
        });
        self.console.say(&format!(
            "trained {} steps in {} (evaluations {}), mean loss {:.4}; saved step {}{best}",
            outcome.steps,
            seconds(outcome.training_seconds),
            seconds(outcome.evaluation_seconds),
            outcome.train_loss,
            outcome.saved_step
        ));
        if !outcome.before.is_empty() && !outcome.after.is_empty() {
            self.console
                .say(&metrics::comparison(&outcome.before, &outcome.after));
        }
    }
}

impl Observer for TrainBar {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Plan(plan) => self.plan(plan),
            Event::Warning { text } => self.above(|console| console.warn(text)),
            Event::Step(step) => self.step(step),
            Event::Evaluated {
                step,
                epoch,
                reports,
            } => self.above(|console| {
                console.say(&format!(
                    "evaluation after step {step} (epoch {epoch:.2})\n{}",
                    metrics::table(reports)
                ));
            }),
            Event::Saved { path } => {
                self.above(|console| console.say(&format!("saved {}", path.display())))
            }
            Event::Done(outcome) => self.done(outcome),
            _ => {}
        }
    }
}

fn seconds(seconds: f64) -> String {
    duration(std::time::Duration::from_secs_f64(seconds.max(0.0)))
}
