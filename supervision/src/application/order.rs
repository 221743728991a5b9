//! In which order applications start, by what each needs.

use std::sync::Arc;

use super::errors::StartAppError;

/// A name of an application.
pub(crate) type Name = Arc<str>;

/// `root` and whatever it needs, each after all that it needs itself; what is named first starts first, where that is
/// open. `needs` gives what an application needs, if there is such an application.
pub(crate) fn start_order<'a>(
    root: &Name,
    needs: &impl Fn(&str) -> Option<&'a [Name]>,
) -> Result<Vec<Name>, StartAppError> {
    let mut order = Vec::new();
    visit(root, None, needs, &mut Vec::new(), &mut order)?;
    Ok(order)
}

fn visit<'a>(
    name: &Name,
    needed_by: Option<&Name>,
    needs: &impl Fn(&str) -> Option<&'a [Name]>,
    path: &mut Vec<Name>,
    order: &mut Vec<Name>,
) -> Result<(), StartAppError> {
    if order.contains(name) {
        return Ok(());
    }
    if let Some(at) = path.iter().position(|on_path| on_path == name) {
        let mut cycle = path[at..].to_vec();
        cycle.push(name.clone());
        return Err(StartAppError::Cycle(cycle));
    }
    let Some(needed) = needs(name) else {
        return Err(StartAppError::NotLoaded { name: name.clone(), needed_by: needed_by.cloned() });
    };
    path.push(name.clone());
    for next in needed {
        visit(next, Some(name), needs, path, order)?;
    }
    path.pop();
    order.push(name.clone());
    Ok(())
}
