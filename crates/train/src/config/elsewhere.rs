//! Keys that transformers and sentence-transformers have and matryo has not: taken where they change nothing, so that
//! a published list of hyper-parameters can be copied, refused with the reason otherwise.

use serde_json::{Value, json};

use super::source::Given;
use crate::TrainError;

/// Why a key is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Number formats other than f32.
    Precision,
    /// More than one process or device.
    Distributed,
    /// Publishing on the hub.
    Hub,
    /// Other programs' logs.
    Reporting,
    /// Another optimizer than AdamW.
    Optimizer,
    /// Ways to save memory that `tokens_per_batch` and `retain` replace.
    Memory,
    /// Compilers and kernels of PyTorch.
    Torch,
    /// A changed objective.
    Objective,
    /// Several data sets, or other samplers.
    Data,
    /// Something about checkpoints and logs that is fixed here.
    Fixed,
    /// Arguments of schedules.
    Schedule,
}

impl Reason {
    fn text(self) -> &'static str {
        match self {
            Self::Precision => {
                "`precision` and `bf16` choose how matryo multiplies, in training and in evaluation; there is no float16"
            }
            Self::Distributed => "matryo trains on one machine, in one process",
            Self::Hub => "matryo does not publish models; upload output_dir when the run is over",
            Self::Reporting => {
                "matryo reports on the terminal, as JSON lines, in trainer_state.json and in eval/*.csv only"
            }
            Self::Optimizer => "the optimizer is AdamW, with one learning rate for all parameters",
            Self::Memory => {
                "memory is bounded by `tokens_per_batch` and `retain` instead, which leave the result as it is"
            }
            Self::Torch => "there is no PyTorch underneath",
            Self::Objective => "it changes the loss in a way that matryo's losses do not have",
            Self::Data => "matryo trains on one data set, in the order that `batch_sampler` gives",
            Self::Fixed => "matryo always does this in one way",
            Self::Schedule => "the schedules run with transformers' default parameters",
        }
    }
}

/// Values with which a key changes nothing here.
enum Harmless {
    /// Every value: the key says how to run, not what to compute.
    Any,
    /// These, as JSON text.
    Values(&'static [&'static str]),
}

use Harmless::{Any, Values};
use Reason::{
    Data, Distributed, Fixed, Hub, Memory, Objective, Optimizer, Precision, Reporting, Schedule,
    Torch,
};

const OFF: Harmless = Values(&["false"]);
const ON: Harmless = Values(&["true"]);
const NONE: Harmless = Values(&[]);

/// The fields of `TrainingArguments` (transformers 4.42 and 5.23) and `SentenceTransformerTrainingArguments` (3.0 and 5.7)
/// that `TrainConfig` lacks.
#[rustfmt::skip]
static ELSEWHERE: &[(&str, Reason, Harmless)] = &[
    ("fp16", Precision, OFF), ("bf16_full_eval", Precision, OFF), ("fp16_full_eval", Precision, OFF),
    ("tf32", Precision, OFF), ("fp16_opt_level", Precision, Values(&["\"O1\""])), ("fp16_backend", Precision, Values(&["\"auto\""])),
    ("half_precision_backend", Precision, Values(&["\"auto\""])),
    ("local_rank", Distributed, Values(&["-1", "0"])), ("ddp_backend", Distributed, NONE), ("ddp_find_unused_parameters", Distributed, Any),
    ("ddp_bucket_cap_mb", Distributed, Any), ("ddp_broadcast_buffers", Distributed, Any), ("ddp_static_graph", Distributed, Any),
    ("ddp_timeout", Distributed, Any), ("fsdp", Distributed, Values(&["\"\"", "[]"])), ("fsdp_config", Distributed, Any),
    ("fsdp_min_num_params", Distributed, Values(&["0"])), ("fsdp_transformer_layer_cls_to_wrap", Distributed, NONE),
    ("deepspeed", Distributed, NONE), ("accelerator_config", Distributed, Any), ("parallelism_config", Distributed, NONE),
    ("average_tokens_across_devices", Distributed, Any), ("log_on_each_node", Distributed, Any), ("save_on_each_node", Distributed, Any),
    ("tpu_num_cores", Distributed, NONE), ("tpu_metrics_debug", Distributed, OFF), ("mp_parameters", Distributed, Values(&["\"\""])),
    ("ray_scope", Distributed, Any), ("dispatch_batches", Distributed, NONE), ("split_batches", Distributed, OFF),
    ("push_to_hub", Hub, OFF), ("push_to_hub_model_id", Hub, NONE), ("push_to_hub_organization", Hub, NONE), ("push_to_hub_token", Hub, NONE),
    ("hub_token", Hub, NONE), ("hub_private_repo", Hub, OFF), ("hub_model_id", Hub, NONE), ("hub_strategy", Hub, Any),
    ("hub_always_push", Hub, OFF), ("hub_revision", Hub, NONE),
    ("report_to", Reporting, Values(&["\"none\"", "[\"none\"]", "[]"])), ("run_name", Reporting, Any), ("project", Reporting, Any),
    ("trackio_space_id", Reporting, Any), ("trackio_bucket_id", Reporting, Any), ("trackio_static_space_id", Reporting, Any),
    ("logging_dir", Reporting, Any), ("logging_strategy", Reporting, Values(&["\"steps\""])), ("logging_nan_inf_filter", Reporting, Any),
    ("log_level", Reporting, Any), ("log_level_replica", Reporting, Any), ("disable_tqdm", Reporting, Any),
    ("include_num_input_tokens_seen", Reporting, Values(&["false", "\"no\""])), ("include_tokens_per_second", Reporting, OFF),
    ("skip_memory_metrics", Reporting, ON), ("debug", Reporting, Values(&["\"\"", "[]"])),
    ("optim", Optimizer, Values(&["\"adamw_torch\"", "\"adamw_torch_fused\""])), ("optim_args", Optimizer, NONE),
    ("optim_target_modules", Optimizer, NONE), ("adafactor", Optimizer, OFF),
    ("activation_checkpointing", Memory, OFF), ("activation_checkpointing_kwargs", Memory, NONE), ("gradient_checkpointing", Memory, OFF),
    ("gradient_checkpointing_kwargs", Memory, NONE), ("auto_find_batch_size", Memory, OFF), ("torch_empty_cache_steps", Memory, Any),
    ("eval_accumulation_steps", Memory, Any),
    ("torch_compile", Torch, OFF), ("torch_compile_backend", Torch, NONE), ("torch_compile_mode", Torch, NONE), ("torchdynamo", Torch, NONE),
    ("use_liger_kernel", Torch, OFF), ("liger_kernel_config", Torch, NONE), ("jit_mode_eval", Torch, OFF), ("use_ipex", Torch, OFF),
    ("use_cpu", Torch, Any), ("no_cuda", Torch, Any), ("use_mps_device", Torch, Any), ("full_determinism", Torch, Any),
    ("use_cache", Torch, Any), ("past_index", Torch, Values(&["-1"])),
    ("dataloader_num_workers", Torch, Any), ("dataloader_pin_memory", Torch, Any), ("dataloader_persistent_workers", Torch, Any),
    ("dataloader_prefetch_factor", Torch, Any), ("dataloader_multiprocessing_context", Torch, Any), ("dataloader_in_order", Torch, ON),
    ("label_smoothing_factor", Objective, Values(&["0", "0.0"])), ("neftune_noise_alpha", Objective, NONE),
    ("group_by_length", Data, OFF), ("length_column_name", Data, Any), ("train_sampling_strategy", Data, Values(&["\"random\""])),
    ("multi_dataset_batch_sampler", Data, Any), ("remove_unused_columns", Data, Any),
    ("label_names", Data, NONE), ("per_gpu_train_batch_size", Data, NONE), ("per_gpu_eval_batch_size", Data, NONE),
    ("eval_delay", Fixed, Values(&["0", "0.0"])), ("prediction_loss_only", Fixed, Any), ("eval_do_concat_batches", Fixed, Any),
    ("eval_use_gather_object", Fixed, OFF), ("include_for_metrics", Fixed, Values(&["[]"])), ("include_inputs_for_metrics", Fixed, OFF),
    ("batch_eval_metrics", Fixed, OFF), ("use_legacy_prediction_loop", Fixed, OFF), ("save_only_model", Fixed, OFF),
    ("save_safetensors", Fixed, ON), ("enable_jit_checkpoint", Fixed, OFF), ("ignore_data_skip", Fixed, OFF),
    ("restore_callback_states_from_checkpoint", Fixed, OFF), ("do_train", Fixed, Any), ("do_eval", Fixed, Any), ("do_predict", Fixed, OFF),
    ("lr_scheduler_kwargs", Schedule, Values(&["{}"])),
];

impl Harmless {
    fn covers(&self, value: &Value) -> bool {
        match self {
            Any => true,
            Values(texts) => texts
                .iter()
                .any(|text| serde_json::from_str::<Value>(text).is_ok_and(|v| v == *value)),
        }
    }
}

/// Takes upstream's keys out of `given` and returns those that were there and change nothing.
pub(super) fn take_harmless(given: &mut Given) -> Result<Vec<String>, TrainError> {
    let mut taken = Vec::new();
    for (key, reason, harmless) in ELSEWHERE {
        let Some(setting) = given.take(key) else {
            continue;
        };
        if !harmless.covers(&setting.value) {
            let (key, value) = ((*key).to_owned(), setting.value.to_string());
            return Err(TrainError::RefusedKey {
                key,
                value,
                reason: reason.text(),
                origin: setting.origin,
            });
        }
        taken.push((*key).to_owned());
    }
    Ok(taken)
}

/// Whether upstream has this key and matryo has not.
pub(super) fn is_elsewhere(key: &str) -> bool {
    ELSEWHERE.iter().any(|(name, ..)| *name == key)
}

/// Reads the text of such a key's flag: TOML if it is, Python's words, else a text.
pub(super) fn read(text: &str) -> Value {
    match text {
        "True" => json!(true),
        "False" => json!(false),
        _ => super::kind::toml_value(text).unwrap_or_else(|| Value::from(text)),
    }
}
