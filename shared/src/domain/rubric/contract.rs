//! What the contract says of a barème's decimals.

use utoipa::openapi::{ObjectBuilder, OneOfBuilder, RefOr, Schema, Type};

/// A decimal as [`Node::decimal`](super::read::Node::decimal) takes it: a text of digits, or a number.
pub(super) fn decimal() -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String).examples(["1.5"]);
    let number = ObjectBuilder::new().schema_type(Type::Number);
    OneOfBuilder::new().item(text).item(number).into()
}
