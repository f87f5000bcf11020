//! What Galaxy hands a tool: the inputs JSON, its text escapes, tables and column selectors, slots and memory; and how a tool hands
//! files back.

pub mod columns;
pub mod inputs;
pub mod output;
pub mod resources;
pub mod table;
pub mod text;
