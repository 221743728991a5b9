// What `#[derive(Actor)]` and `#[handlers]` write for the `Cart` of `main.rs`.

#[automatically_derived]
#[allow(clippy::needless_update)]
impl ::biotope::__private::Declared for Cart {
    const NAME: &'static str = "Cart";
    const OPTIONS: ::biotope::Options = ::biotope::Options {
        mailbox: ::core::option::Option::Some(::biotope::Bounded::to(1024)),
        ..::biotope::Options::DEFAULT
    };
}
impl Cart {
    /// Adds `item`; returns how many there are.
    pub async fn add(&mut self, item: Item) -> usize {
        self.items.push(item);
        self.items.len()
    }
    pub fn clear(&mut self) {
        self.items.clear();
    }
    fn on_down(&mut self, down: Down, cx: &mut Context<Self>) {
        println!("{} ended", down.pid);
    }
}
#[doc(hidden)]
#[allow(private_interfaces, private_bounds, dead_code)]
pub enum CartMsg {
    Add(
        ::biotope::__private::Held<(Item,), { ::biotope::__private::fits::<(Item,)>() }>,
        ::biotope::ReplyTo<usize>,
    ),
    Clear(),
}
/// The methods by which callers reach a [`Cart`].
#[allow(private_interfaces, private_bounds)]
pub struct CartClient(::biotope::Address<CartMsg>);
#[allow(private_interfaces, dead_code)]
impl CartClient {
    /// Adds `item`; returns how many there are.
    pub fn add(&self, item: Item) -> ::biotope::Call<'_, CartMsg, usize> {
        ::biotope::Call::new(
            &self.0,
            move |reply| CartMsg::Add(
                ::biotope::__private::Packed::<(Item,)>::pack((item,)),
                reply,
            ),
        )
    }
    /// Sends the message that [`Cart::clear`] handles.
    pub fn clear(&self) {
        self.0.cast(CartMsg::Clear())
    }
    /// As [`clear`](Self::clear), or hands the message back.
    pub fn try_clear(
        &self,
    ) -> ::core::result::Result<(), ::biotope::SendError<CartMsg>> {
        self.0.try_cast(CartMsg::Clear())
    }
}
impl ::biotope::Client for CartClient {
    type Msg = CartMsg;
    fn from_address(address: ::biotope::Address<CartMsg>) -> Self {
        Self(address)
    }
    fn address(&self) -> &::biotope::Address<CartMsg> {
        &self.0
    }
}
impl ::biotope::Actor for Cart {
    type Msg = CartMsg;
    type Client = CartClient;
    const NAME: &'static str = <Cart as ::biotope::__private::Declared>::NAME;
    const OPTIONS: ::biotope::Options = <Cart as ::biotope::__private::Declared>::OPTIONS;
    const HANDLERS: &'static [&'static str] = &["add", "clear"];
    #[inline]
    fn handler_of(message: &CartMsg) -> u32 {
        match *message {
            CartMsg::Add(..) => 0,
            CartMsg::Clear(..) => 1,
        }
    }
    #[inline]
    fn handler_sizes() -> ::std::vec::Vec<::biotope::HandlerSizes> {
        ::std::vec::Vec::from([
            ::biotope::HandlerSizes::of::<
                (Item,),
                ::biotope::ReplyTo<usize>,
            >("add", ::biotope::__private::fits::<(Item,)>())
                .with_future(|| Self::add(
                    ::biotope::__private::any(),
                    ::biotope::__private::any(),
                )),
            ::biotope::HandlerSizes::of::<(), ()>("clear", true),
        ])
    }
}
impl ::biotope::Handle for Cart {
    async fn handle(&mut self, message: CartMsg, cx: &mut ::biotope::Context<Self>) {
        if let ::biotope::Step::Async(rest) = ::biotope::Handle::step(
            self,
            message,
            cx,
        ) {
            rest.await
        }
    }
    #[inline]
    fn step(
        &mut self,
        message: CartMsg,
        _cx: &mut ::biotope::Context<Self>,
    ) -> ::biotope::Step<
        impl ::core::future::Future<Output = ()> + ::core::marker::Send,
    > {
        match message {
            CartMsg::Clear() => Self::clear(self),
            message => {
                return ::biotope::Step::Async(async move {
                    match message {
                        CartMsg::Add(packed, reply) => {
                            let ((item,), room) = ::biotope::__private::Packed::<
                                (Item,),
                            >::unpack(packed);
                            reply
                                .send(
                                    ::biotope::__private::Hold::run(room, Self::add(self, item))
                                        .await,
                                )
                        }
                        _ => ::core::unreachable!("plain handlers run at once"),
                    }
                });
            }
        }
        ::biotope::Step::Done
    }
    async fn info(&mut self, info: ::biotope::Info, cx: &mut ::biotope::Context<Self>) {
        if let ::biotope::Step::Async(rest) = ::biotope::Handle::step_info(
            self,
            info,
            cx,
        ) {
            rest.await
        }
    }
    #[inline]
    fn step_info(
        &mut self,
        info: ::biotope::Info,
        cx: &mut ::biotope::Context<Self>,
    ) -> ::biotope::Step<
        impl ::core::future::Future<Output = ()> + ::core::marker::Send,
    > {
        match info {
            ::biotope::Info::Down(down) => Self::on_down(self, down, cx),
            #[allow(unreachable_patterns)]
            unexpected => cx.log_unexpected(&unexpected),
        }
        ::biotope::Step::<::core::future::Ready<()>>::Done
    }
    fn show_state(&self) -> ::core::option::Option<::std::string::String> {
        #[allow(unused_imports)]
        use ::biotope::__private::{ByDebug as _, ByNothing as _};
        let shown = &::biotope::__private::Shown(self);
        shown.show()
    }
    const TERMINATES: bool = false;
}
impl ::biotope::Start for Cart
where
    for<'a> Cart: ::core::default::Default,
{
    type Args = ();
    async fn start(
        (): (),
        _cx: &mut ::biotope::Context<Self>,
    ) -> ::core::result::Result<Self, ::biotope::Refused> {
        ::core::result::Result::Ok(::core::default::Default::default())
    }
}
