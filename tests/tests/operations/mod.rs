//! Tests of operating Doorward: settings, health, audit trail, migrations, transfer, outages,
//! crashes and power cuts.

pub(crate) mod api_settings;
pub(crate) mod audit;
pub(crate) mod crashes;
pub(crate) mod health;
pub(crate) mod log;
pub(crate) mod migrations;
pub(crate) mod outages;
pub(crate) mod poolers;
pub(crate) mod postgres_outage;
pub(crate) mod power_cuts;
pub(crate) mod settings;
pub(crate) mod storage_failures;
pub(crate) mod transfer;
