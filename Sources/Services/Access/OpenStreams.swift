import HTTP

/// The streams that are open on one loop: bounded, and ended when their callers' tokens are revoked.
final class OpenStreams {
    private struct Entry {
        weak var exchange: Exchange?
        let serial: Int
        let caller: Caller
        let role: Role

        /// Whether the request goes on.
        var isOpen: Bool { exchange.map { $0.serial == serial && !$0.isFinished } ?? false }
    }

    private let most: Int
    private let access: Access
    private var entries: [Entry] = []
    /// How many entries there may be before those that have ended are looked for.
    private var room = 16

    /// - Parameter most: how many streams there may be at once.
    init(most: Int, access: Access) {
        self.most = most
        self.access = access
    }

    /// Takes down a request that is about to be answered by a stream.
    func begin(_ exchange: Exchange, _ caller: Caller, _ role: Role) throws(Problem) {
        if entries.count >= min(room, most) {
            entries.removeAll { !$0.isOpen }
            guard entries.count < most else {
                throw Problem(.unavailable, "there are too many streams here; try another replica", retryAfterS: 5)
            }
            room = max(16, entries.count * 2)
        }
        entries.append(Entry(exchange: exchange, serial: exchange.serial, caller: caller, role: role))
    }

    /// Ends the streams of those who are not known any more.
    func endRevoked() {
        for entry in entries where entry.isOpen && !access.stillAllows(entry.caller, entry.role) {
            entry.exchange?.endStream()
        }
    }
}
