//! What an expression may cost, known before it runs.

use cel::{
    IdedExpr,
    common::ast::{EntryExpr, Expr, operators},
    parser::PrattParser,
};
use std::collections::BTreeSet;
use std::panic::catch_unwind;

/// How deep brackets and conditions nest in the source, and everything in the compiled tree.
const MAX_NESTING: u16 = 16;
const MAX_CONDITIONS: usize = 16;
const MAX_DEPTH: usize = 64;
/// Macros (`all`, `exists`, `exists_one`, `map`, `filter`) within macros.
const MAX_MACROS: u32 = 2;

/// What bounds the work.
#[derive(Debug)]
pub(super) struct Cost {
    nodes: usize,
    macros: u32,
    longest_list: usize,
    /// The variables it names.
    pub(super) names: BTreeSet<String>,
}

impl Cost {
    /// Most steps over so many entries: every node in each turn of every macro, and once more for comparing lists.
    pub(super) fn steps(&self, entries: usize) -> usize {
        self.nodes.saturating_mul(entries.max(self.longest_list).max(1).saturating_pow(self.macros + 1))
    }
}

/// Parses a source and looks it over. The error says what is wrong.
pub(super) fn compile(source: &str, variables: &[&str]) -> Result<(IdedExpr, Cost), String> {
    if source.bytes().filter(|byte| *byte == b'?').count() > MAX_CONDITIONS {
        return Err(format!("the expression has more than {MAX_CONDITIONS} conditions"));
    }
    let parsed = catch_unwind(|| PrattParser::new().max_recursion_depth(MAX_NESTING).parse(source))
        .map_err(|_| format!("the expression cannot be read: {}", crate::model::digest::shorten(source)))?;
    let expression = parsed.map_err(|errors| {
        let first = errors.errors.first();
        let (line, column) = first.map_or((0, 0), |error| error.pos);
        let what = first.map_or("it cannot be read", |error| error.msg.as_str());
        let what = crate::model::digest::shorten(what);
        format!("the expression is wrong at line {line} column {column}: {what}")
    })?;
    let cost = look_over(&expression, variables)?;
    Ok((expression, cost))
}

/// Walks the tree with a stack of its own: how deep it is, is one of the questions.
fn look_over(expression: &IdedExpr, variables: &[&str]) -> Result<Cost, String> {
    let mut cost = Cost { nodes: 0, macros: 0, longest_list: 0, names: BTreeSet::new() };
    let mut bound: BTreeSet<&str> = BTreeSet::new();
    let mut stack = vec![(expression, 1, 0)];
    while let Some((node, depth, macros)) = stack.pop() {
        cost.nodes += 1;
        cost.macros = cost.macros.max(macros);
        if depth > MAX_DEPTH {
            return Err(format!("the expression nests deeper than {MAX_DEPTH} levels"));
        }
        if macros > MAX_MACROS {
            return Err(format!("more than {MAX_MACROS} macros are nested"));
        }
        let mut push = |node| stack.push((node, depth + 1, macros));
        match &node.expr {
            Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).for_each(&mut push),
            Expr::Select(select) => push(&select.operand),
            Expr::List(list) => {
                cost.longest_list = cost.longest_list.max(list.elements.len());
                list.elements.iter().for_each(&mut push);
            }
            Expr::Map(map) => entries(&map.entries).for_each(&mut push),
            Expr::Struct(made) => entries(&made.entries).for_each(&mut push),
            Expr::Ident(name) => {
                // Names with @ are the macros' own.
                if !name.starts_with('@') {
                    cost.names.insert(name.clone());
                }
            }
            Expr::Comprehension(over) => {
                if !is_given(&over.iter_range) {
                    return Err("macros run over facts and lists of literals only".to_owned());
                }
                bound.insert(&over.iter_var);
                bound.extend(over.iter_var2.as_deref());
                push(&over.iter_range);
                for inner in [&over.accu_init, &over.loop_cond, &over.loop_step, &over.result] {
                    stack.push((inner, depth + 1, macros + 1));
                }
            }
            Expr::Literal(_) | Expr::Unspecified => {}
        }
    }
    cost.names.retain(|name| !bound.contains(name.as_str()));
    match cost.names.iter().find(|name| !variables.contains(&name.as_str())) {
        Some(name) => Err(format!(
            "there is no variable {} (there are {})",
            crate::model::digest::shorten(name),
            variables.join(", ")
        )),
        None => Ok(cost),
    }
}

fn entries(entries: &[cel::common::ast::IdedEntryExpr]) -> impl Iterator<Item = &IdedExpr> {
    entries
        .iter()
        .flat_map(|entry| match &entry.expr {
            EntryExpr::StructField(field) => [Some(&field.value), None],
            EntryExpr::MapEntry(entry) => [Some(&entry.key), Some(&entry.value)],
        })
        .flatten()
}

/// Whether what a macro runs over is no longer than the facts or the source: a path into the facts, or literals.
fn is_given(mut range: &IdedExpr) -> bool {
    loop {
        range = match &range.expr {
            Expr::Ident(name) => return !name.starts_with('@'),
            Expr::Select(select) => &select.operand,
            Expr::Call(call) if call.func_name == operators::INDEX && call.args.len() == 2 => &call.args[0],
            Expr::List(list) => {
                return list.elements.iter().all(|element| matches!(element.expr, Expr::Literal(_)));
            }
            _ => return false,
        };
    }
}
