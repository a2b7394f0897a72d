//! Trainer, optimizer, schedules, checkpoints, model card.
