/// The life of a connection that is kept up: what happens next, given what has happened. Pure: it performs nothing.
struct RedisConnectionState: Equatable {
    enum Phase: Equatable {
        case idle
        /// Looking up the address.
        case resolving
        case connecting
        /// Connected; letting ourselves in and loading scripts.
        case preparing
        case ready
        /// Waiting to try again.
        case backingOff
        case closed
    }

    enum Event: CaseIterable {
        case started, resolved, connected, prepared, failed, retryDue, closed
        /// The server to be asked is another.
        case moved
    }

    enum Action: Equatable {
        case nothing
        case resolve
        case connect
        case prepare
        case announceReady
        /// Try again after this long, before jitter.
        case retry(afterUs: Int64)
        case tearDown
    }

    private(set) var phase = Phase.idle
    /// Failures since it was last ready.
    private(set) var failures = 0

    static let firstRetryUs: Int64 = 25_000
    static let longestRetryUs: Int64 = 1_000_000

    mutating func handle(_ event: Event) -> Action {
        switch (phase, event) {
        case (.closed, _): return .nothing
        case (_, .closed):
            phase = .closed
            return .tearDown
        case (.idle, .started), (.backingOff, .retryDue), (.backingOff, .moved):
            phase = .resolving
            return .resolve
        case (.resolving, .resolved):
            phase = .connecting
            return .connect
        case (.connecting, .connected):
            phase = .preparing
            return .prepare
        case (.preparing, .prepared):
            phase = .ready
            failures = 0
            return .announceReady
        case (.resolving, .failed), (.connecting, .failed), (.preparing, .failed), (.ready, .failed):
            phase = .backingOff
            let delayUs = RedisConnectionState.firstRetryUs << Int64(min(failures, 10))
            failures += 1
            return .retry(afterUs: min(delayUs, RedisConnectionState.longestRetryUs))
        case (.connecting, .moved), (.preparing, .moved), (.ready, .moved):
            phase = .backingOff
            failures = 0
            return .retry(afterUs: 0)
        // Late news of something that is over.
        default: return .nothing
        }
    }
}
