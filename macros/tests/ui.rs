//! What compiles, and what the compiler says of what does not: each message tells what to write.

#[test]
fn mistakes_are_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
}

#[test]
fn forms_compile() {
    trybuild::TestCases::new().pass("tests/ui/pass/*.rs");
}
