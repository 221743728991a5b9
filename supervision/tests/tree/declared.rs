//! What is declared is data: it prints, and is compared.

use biotope_runtime::{ExitReason, Shutdown, StartError};
use biotope_supervision::{
    AutoShutdown, Backoff, Child, Circuit, Declared, IntoChild, Supervisor, Temporary, Transient,
};

use crate::support::*;

fn idle(id: &str) -> Child {
    Child::with(id, |_, _| async { Err(StartError::Ignored) })
}

fn shop() -> Supervisor {
    let stock = Supervisor::rest_for_one()
        .named("stock")
        .intensity(0, secs(1))
        .child(idle("shelf").restart(Transient))
        .child(Supervisor::one_for_all().id("cellar").shutdown(secs(60)).restart(Temporary));
    let pool = Child::supervisor_with("pool", |_, _| async { Err(StartError::Refused(ExitReason::Normal)) })
        .declared(Declared::new("a pool of 4").children([idle("each")]));
    Supervisor::one_for_one()
        .named("shop")
        .intensity(3, secs(5))
        .child(idle("cart").shutdown(millis(1500)))
        .child(stock)
        .child(idle("till").shutdown(Shutdown::BrutalKill))
        .child(pool)
}

#[test]
fn a_supervisor_prints_the_tree_that_is_declared() {
    let text = "\
shop          supervisor                          one_for_one, 3 restarts within 5s
├─ cart       worker      permanent  1.5s
├─ stock      supervisor  permanent  infinity     rest_for_one, no restart
│  ├─ shelf   worker      transient  5s
│  └─ cellar  supervisor  temporary  60s          one_for_all, 1 restart within 5s
├─ till       worker      permanent  brutal kill
└─ pool       supervisor  permanent  infinity     a pool of 4
   └─ each    worker      permanent  5s
";
    assert_eq!(shop().to_string(), text);
    assert_eq!(Supervisor::one_for_all().to_string(), "supervisor  supervisor      one_for_all, 1 restart within 5s\n");
}

#[test]
fn what_is_said_beside_is_printed_too() {
    let line = idle("line").backoff(Backoff::new(millis(100), secs(30))).circuit(Circuit::registered("modem"));
    let job = Supervisor::one_for_one()
        .auto_shutdown(AutoShutdown::AllSignificant)
        .backoff(Backoff::constant(secs(1)))
        .child(line)
        .child(idle("copy").restart(Transient).significant());
    let text = "\
supervisor  supervisor                 one_for_one, 1 restart within 5s, ends with its significant children, waits 1s
├─ line     worker      permanent  5s  waits 100ms to 30s, needs modem
└─ copy     worker      transient  5s  significant
";
    assert_eq!(job.to_string(), text);
}

#[test]
fn specifications_are_equal_if_they_say_the_same_and_start_by_the_same() {
    let cart = idle("cart");
    assert_eq!(cart, cart.clone());
    assert_ne!(cart, idle("cart"), "who starts it is another function");
    assert_ne!(cart, cart.clone().restart(Transient));
    assert_ne!(cart, cart.clone().declared(Declared::new("a cart with wheels")));
    let shop = shop();
    assert_eq!(shop, shop.clone());
    assert_ne!(shop, shop.clone().intensity(4, secs(5)));
    assert_ne!(shop, shop.clone().child(cart));
    let nested = Supervisor::one_for_one().into_child();
    assert_eq!(nested, nested.clone());
}
