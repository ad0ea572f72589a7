//! Whatever starts when, and whatever is lost: in the end all are welcome.

use std::time::Duration;

use proptest::prelude::*;

use crate::network::Link;

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// AUTO-21, AUTO-32
    #[test]
    fn the_order_in_which_they_start_does_not_matter(
        seed: u64,
        loss in 0..40_u64,
        pauses in prop::collection::vec(0..20_000_u64, 6),
        server_at in 0..6_usize,
    ) {
        let mut link = Link::new(seed, loss, false);
        for (n, pause) in pauses.into_iter().enumerate() {
            if n == server_at {
                link.start_server(2, 50_053);
            } else {
                link.start_client();
            }
            link.pass(Duration::from_millis(pause));
        }
        let mut left = 20;
        while !link.all_are_welcome() && left > 0 {
            link.pass(Duration::from_secs(15));
            left -= 1;
        }
        prop_assert!(link.all_are_welcome());
    }

    /// AUTO-31, AUTO-34, AUTO-35, AUTO-53
    #[test]
    fn servers_die_and_come_back_elsewhere_while_datagrams_are_lost(
        seed: u64,
        loss in 0..40_u64,
        silent: bool,
        lives in prop::collection::vec((0..30_000_u64, 0..10_000_u64, 2..4_u8, 50_053..50_056_u16, any::<bool>()), 1..5),
    ) {
        let mut link = Link::new(seed, loss, silent);
        for _ in 0..3 {
            link.start_client();
        }
        for (life, death, host, port, politely) in lives {
            let server = link.start_server(host, port);
            link.pass(Duration::from_millis(life));
            if politely {
                link.stop(server);
            } else {
                link.kill(server);
            }
            link.pass(Duration::from_millis(death));
            for client in 0..3 {
                link.again(client);
            }
        }
        // All whom a client knows now are dead, unless the last one is still about to say goodbye.
        link.pass(Duration::from_secs(1));
        for client in 0..3 {
            link.again(client);
        }
        link.start_server(9, 50_053);
        let mut left = 20;
        while !link.all_are_welcome() && left > 0 {
            link.pass(Duration::from_secs(15));
            left -= 1;
        }
        for client in &link.clients {
            let (endpoint, _) = client.welcome.unwrap();
            prop_assert_eq!(endpoint, ([10, 0, 0, 9], 50_053).into());
        }
    }
}
