//! Model folders, the hub, the tokenizer and the encoder, on a tiny model.

mod convert;
mod encoder_errors;
mod encoder_forward;
mod encoder_frozen;
mod encoder_gradient;
mod families;
mod family_files;
mod folder_errors;
mod folder_open;
mod hub;
mod hub_server;
mod minilm;
mod module_goldens;
mod module_stack;
mod precisions;
mod quantize;
mod routes;
mod save;
mod saved;
mod sentence_encoder;
mod similarity;
mod static_models;
mod tiny;
mod tokenizer;
