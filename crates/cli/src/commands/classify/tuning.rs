//! The tuning of embeddings: a bar on a terminal, elsewhere a line every tenth of the steps.

use indicatif::ProgressBar;
use matryo_train::{
    Event, Observer,
    events::{RunPlan, StepEvent},
};

use crate::{
    console::Console,
    progress::{bar, duration, grouped},
};

const TEMPLATE: &str = "tuning {bar:24} {pos}/{len} {wide_msg}";
/// Lines where no bar can be drawn.
const LINES: u64 = 10;

/// Shows a tuning to a person.
pub struct TuningBar {
    console: Console,
    bar: ProgressBar,
}

impl TuningBar {
    /// Nothing is shown before the tuning starts.
    pub fn new(console: Console) -> Self {
        Self {
            console,
            bar: ProgressBar::hidden(),
        }
    }

    fn plan(&mut self, plan: &RunPlan) {
        plan.notes.iter().for_each(|note| self.console.note(note));
        let (pairs, steps) = (grouped(plan.rows as u64), grouped(plan.steps));
        self.console.say(&format!(
            "tuning on {pairs} pairs in {steps} steps; {}; {}",
            plan.device, plan.precision
        ));
        self.bar = bar(&self.console, plan.steps, TEMPLATE);
    }

    fn step(&self, step: &StepEvent) {
        let facts = format!("loss {:.4}  {} left", step.loss, duration(step.remaining));
        self.bar.set_position(step.step);
        let tenth = |step: u64, total: u64| step * LINES / total.max(1);
        if !self.console.shows_bars()
            && tenth(step.step, step.total) > tenth(step.step - 1, step.total)
        {
            self.console.say(&format!(
                "step {} of {}  {facts}",
                grouped(step.step),
                grouped(step.total)
            ));
        }
        self.bar.set_message(facts);
    }
}

impl Observer for TuningBar {
    /// Warnings are left out: they speak of the data, and the pairs are none that the user could change.
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Plan(plan) => self.plan(plan),
            Event::Step(step) => self.step(step),
            Event::Done(_) => self.bar.finish_and_clear(),
            _ => {}
        }
    }
}
