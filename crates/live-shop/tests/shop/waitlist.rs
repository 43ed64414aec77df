//! A unit of the flash sale that is given back goes to the first customer on the waitlist.

use live_shop::state::Settings;

use crate::{open_sale, with_shop};

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_is_given_back_goes_to_the_next_one_on_the_waitlist() {
    with_shop(Settings::default(), |shop| {
        shop.runtime.block_on(open_sale(&shop.app, 1, 10));
        let mut customers = ["Ann", "Ben", "Cleo"].map(|name| shop.customer(name));
        for customer in &mut customers {
            let order = customer.get("/flash").field("order");
            // Sent twice, it is one order.
            for _ in 0..2 {
                assert_eq!(customer.post("/flash/buy", &[("order", &order)]).status, 303);
            }
        }
        let [ann, ben, cleo] = &mut customers;
        assert!(ben.get("/flash").body.contains("Customers before you: 0"));
        assert!(cleo.get("/flash").body.contains("Customers before you: 1"));
        assert_eq!(ben.post("/flash/give-back", &[("order", "1")]).status, 409, "he has nothing yet");

        let mut events = ben.listening();
        let order = ann.get("/flash").field("order");
        for _ in 0..2 {
            assert_eq!(ann.post("/flash/give-back", &[("order", &order)]).status, 303);
        }
        events.next_of("note");
        assert!(ben.get("/flash").body.contains("One unit is reserved for you."));
        assert!(ben.get("/notifications").body.contains("A unit of the flash sale came back. It is yours."));
        assert!(ben.get("/notifications").body.contains("1 unread"), "it gets one notification");
        assert!(ann.get("/flash").body.contains("Buy one"));
        assert!(cleo.get("/flash").body.contains("Customers before you: 0"));

        // Ben's is the same unit: he gives it back, and Cleo has it. Nobody waits then, so hers is for sale again, and Ann buys it.
        ben.post("/flash/give-back", &[("order", "1")]);
        assert!(cleo.get("/flash").body.contains("One unit is reserved for you."));
        cleo.post("/flash/give-back", &[("order", "1")]);
        let again = ann.get("/flash").field("order");
        assert_ne!(again, order, "an order that was given back is over");
        ann.post("/flash/buy", &[("order", &again)]);
        assert!(ann.get("/flash").body.contains("One unit is reserved for you."));
        let sale = shop.runtime.block_on(shop.app.flash_sale.sale("today")).unwrap().unwrap();
        assert_eq!((sale.left, sale.sold, sale.waiting), (0, 1, 0));
    })
    .await;
}
