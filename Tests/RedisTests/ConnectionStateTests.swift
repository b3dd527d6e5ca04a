import TestSupport
import Testing

@testable import Redis

/// The life of a connection, as a table: every state meets every event.
@Suite struct ConnectionStateTests {
    typealias State = RedisConnectionState

    /// How to come into each phase from the beginning.
    static let paths: [(State.Phase, [State.Event])] = [
        (.idle, []),
        (.resolving, [.started]),
        (.connecting, [.started, .resolved]),
        (.preparing, [.started, .resolved, .connected]),
        (.ready, [.started, .resolved, .connected, .prepared]),
        (.backingOff, [.started, .failed]),
        (.closed, [.closed]),
    ]

    /// What changes anything; all other pairs do nothing.
    static let transitions: [(State.Phase, State.Event, State.Phase, State.Action)] = [
        (.idle, .started, .resolving, .resolve),
        (.idle, .closed, .closed, .tearDown),
        (.resolving, .resolved, .connecting, .connect),
        (.resolving, .failed, .backingOff, .retry(afterUs: 25_000)),
        (.resolving, .closed, .closed, .tearDown),
        (.connecting, .connected, .preparing, .prepare),
        (.connecting, .failed, .backingOff, .retry(afterUs: 25_000)),
        (.connecting, .closed, .closed, .tearDown),
        (.connecting, .moved, .backingOff, .retry(afterUs: 0)),
        (.preparing, .moved, .backingOff, .retry(afterUs: 0)),
        (.ready, .moved, .backingOff, .retry(afterUs: 0)),
        (.backingOff, .moved, .resolving, .resolve),
        (.preparing, .prepared, .ready, .announceReady),
        (.preparing, .failed, .backingOff, .retry(afterUs: 25_000)),
        (.preparing, .closed, .closed, .tearDown),
        (.ready, .failed, .backingOff, .retry(afterUs: 25_000)),
        (.ready, .closed, .closed, .tearDown),
        (.backingOff, .retryDue, .resolving, .resolve),
        (.backingOff, .closed, .closed, .tearDown),
    ]

    @Test func everyStateMeetsEveryEvent() {
        for (phase, path) in ConnectionStateTests.paths {
            for event in State.Event.allCases {
                var state = State()
                for step in path { _ = state.handle(step) }
                #expect(state.phase == phase)
                let expected = ConnectionStateTests.transitions.first { $0.0 == phase && $0.1 == event }
                let action = state.handle(event)
                #expect(action == expected?.3 ?? .nothing, "\(event) while \(phase)")
                #expect(state.phase == expected?.2 ?? phase, "\(event) while \(phase)")
            }
        }
    }

    @Test func pausesDoubleUpToASecondAndBeginAnewOnceReady() {
        var state = State()
        _ = state.handle(.started)
        var pauses: [Int64] = []
        for _ in 0..<8 {
            guard case .retry(let afterUs) = state.handle(.failed) else { break }
            pauses.append(afterUs)
            _ = state.handle(.retryDue)
        }
        #expect(pauses == [25_000, 50_000, 100_000, 200_000, 400_000, 800_000, 1_000_000, 1_000_000])
        for event in [State.Event.resolved, .connected, .prepared] { _ = state.handle(event) }
        #expect(state.handle(.failed) == .retry(afterUs: 25_000))
    }
}
