//! Placement strategies: which of the possible nodes is the best, for a new task and for one to stop.

use crate::api::{PlacementStrategy, PlacementStrategyType};
use crate::domain::placement::node::{AVAILABILITY_ZONE, AttributeName, AttributeNameError};

/// A strategy whose field has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strategy {
    /// Evenly over the values of a field.
    Spread(SpreadField),
    /// As few nodes as possible.
    Binpack(Resource),
    /// Any node.
    Random,
}

/// What tasks are spread over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpreadField {
    /// The nodes themselves.
    Instance,
    /// The values of an attribute.
    Attribute(AttributeName),
}

/// What nodes are filled by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Its CPU.
    Cpu,
    /// Its memory.
    Memory,
}

impl TryFrom<&PlacementStrategy> for Strategy {
    type Error = StrategyError;

    /// Reads a strategy. ECS reads fields in either case, except for the names of attributes, and does not look at the field
    /// of `random`.
    fn try_from(strategy: &PlacementStrategy) -> Result<Self, Self::Error> {
        let field = strategy.field.as_deref().unwrap_or_default();
        match (strategy.type_, field.to_ascii_lowercase().as_str()) {
            (PlacementStrategyType::Random, _) => Ok(Self::Random),
            (PlacementStrategyType::Spread, "instanceid" | "host") => Ok(Self::Spread(SpreadField::Instance)),
            (PlacementStrategyType::Spread, lower) if lower.starts_with("attribute:") => {
                let name = field.split_once(':').map_or("", |(_, name)| name);
                Ok(Self::Spread(SpreadField::Attribute(name.parse()?)))
            }
            (PlacementStrategyType::Spread, _) => Err(StrategyError::SpreadField(field.to_owned())),
            (PlacementStrategyType::Binpack, "cpu") => Ok(Self::Binpack(Resource::Cpu)),
            (PlacementStrategyType::Binpack, "memory") => Ok(Self::Binpack(Resource::Memory)),
            (PlacementStrategyType::Binpack, _) => Err(StrategyError::BinpackField(field.to_owned())),
        }
    }
}

impl Strategy {
    /// Whether what is left of nodes makes a difference to it.
    pub fn looks_at_room(&self) -> bool {
        matches!(self, Self::Binpack(_))
    }

    /// Whether it spreads tasks over Availability Zones.
    pub fn spreads_over_zones(&self) -> bool {
        matches!(self, Self::Spread(SpreadField::Attribute(name)) if name.is_zone())
    }

    /// What a service without strategies gets: spread over Availability Zones, and within them over nodes.
    pub fn service_default() -> Vec<Self> {
        let zone = AVAILABILITY_ZONE.parse().map(|name| Self::Spread(SpreadField::Attribute(name)));
        zone.into_iter().chain([Self::Spread(SpreadField::Instance)]).collect()
    }
}

/// A strategy that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StrategyError {
    /// Nothing to spread over.
    #[error(
        "spread cannot use the field {0:?}; write instanceId or attribute:NAME, such as attribute:ecs.availability-zone"
    )]
    SpreadField(String),
    /// Nothing to pack by.
    #[error("binpack cannot use the field {0:?}; write cpu or memory")]
    BinpackField(String),
    /// `attribute:` and something that is no name.
    #[error(transparent)]
    AttributeName(#[from] AttributeNameError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strategy(type_: PlacementStrategyType, field: Option<&str>) -> Result<Strategy, StrategyError> {
        Strategy::try_from(&PlacementStrategy { type_, field: field.map(str::to_owned) })
    }

    #[test]
    fn fields_are_read_in_either_case_except_for_the_names_of_attributes() {
        let attribute = |name: &str| Strategy::Spread(SpreadField::Attribute(name.parse().unwrap()));
        for (type_, field, read) in [
            (PlacementStrategyType::Spread, "instanceId", Strategy::Spread(SpreadField::Instance)),
            (PlacementStrategyType::Spread, "HOST", Strategy::Spread(SpreadField::Instance)),
            (PlacementStrategyType::Spread, "attribute:ecs.availability-zone", attribute("ecs.availability-zone")),
            (PlacementStrategyType::Spread, "Attribute:Rack", attribute("Rack")),
            (PlacementStrategyType::Binpack, "CPU", Strategy::Binpack(Resource::Cpu)),
            (PlacementStrategyType::Binpack, "memory", Strategy::Binpack(Resource::Memory)),
            (PlacementStrategyType::Random, "whatever", Strategy::Random),
        ] {
            assert_eq!(strategy(type_, Some(field)), Ok(read), "{field}");
        }
        assert_eq!(strategy(PlacementStrategyType::Random, None), Ok(Strategy::Random));
    }

    #[test]
    fn a_field_that_the_strategy_does_not_have_is_refused_with_those_it_has() {
        assert_eq!(
            strategy(PlacementStrategyType::Spread, None).unwrap_err().to_string(),
            "spread cannot use the field \"\"; write instanceId or attribute:NAME, such as attribute:ecs.availability-zone"
        );
        assert_eq!(
            strategy(PlacementStrategyType::Binpack, Some("disk")).unwrap_err().to_string(),
            "binpack cannot use the field \"disk\"; write cpu or memory"
        );
        assert!(matches!(
            strategy(PlacementStrategyType::Spread, Some("attribute:")),
            Err(StrategyError::AttributeName(_))
        ));
    }

    #[test]
    fn a_service_without_strategies_is_spread_over_zones_and_then_over_nodes() {
        let zone = strategy(PlacementStrategyType::Spread, Some("attribute:ecs.availability-zone")).unwrap();
        assert_eq!(Strategy::service_default(), [zone, Strategy::Spread(SpreadField::Instance)]);
    }
}
