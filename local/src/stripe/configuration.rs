//! What the portal's configuration shows beside how a change is charged ([`super::portal::PortalChanges`]).

/// Who may open the portal, and what can be done there. By itself it is what README asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Whether the portal opens with it.
    pub active: bool,
    /// What of a subscription can be changed, as Stripe writes it; nothing when it is empty.
    pub changes: Vec<&'static str>,
    /// `now` or `unchanged`, if somebody has chosen.
    pub anchor: Option<&'static str>,
    /// The ids of the prices that can be chosen; every monthly one if not given.
    pub prices: Option<Vec<String>>,
    /// `at_period_end` or `immediately`.
    pub cancel: &'static str,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            active: true,
            changes: vec!["price"],
            anchor: None,
            prices: None,
            cancel: "at_period_end",
        }
    }
}
