//! Settings by column, against the columns of the data and the routes of the model.

use matryo_data::{Dataset, Rows};
use matryo_model::{SentenceEncoder, Trainable};

use crate::{TrainConfig, TrainError, config::Prompts};

/// Settings by column name columns that the data has.
pub(crate) fn check_columns(config: &TrainConfig, data: &Dataset) -> Result<(), TrainError> {
    let prompts = config.prompts.iter().flat_map(Prompts::columns);
    let routes = config.router_mapping.iter().flatten();
    let prompts = prompts.map(|column| ("prompts", column));
    let named = prompts.chain(routes.map(|(column, _)| ("router_mapping", &**column)));
    for (key, column) in named {
        if !data.columns().iter().any(|known| known == column) {
            return Err(TrainError::NamedColumn {
                key,
                column: column.to_owned(),
                columns: data.columns().to_vec(),
            });
        }
    }
    Ok(())
}

/// As upstream, a model with routes is trained only with a mapping, though columns without a route may take the default one.
pub(crate) fn check_routes(
    config: &TrainConfig,
    data: &Dataset,
    model: &SentenceEncoder<Trainable>,
) -> Result<(), TrainError> {
    let mapped = config
        .router_mapping
        .as_ref()
        .is_some_and(|m| !m.is_empty());
    match &model.folder().routes {
        Some(routes) if !mapped => Err(TrainError::NoRouterMapping {
            routes: routes.names.clone(),
            columns: data.columns().to_vec(),
        }),
        _ => Ok(()),
    }
}
