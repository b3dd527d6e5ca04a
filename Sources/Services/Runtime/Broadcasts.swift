import EventLoops
import Synchronization

/// News from one loop to all loops of the process. Each loop subscribes for itself and hears it on its own thread.
public final class Broadcasts: Sendable {
    private struct Subscription: Sendable {
        let loop: EventLoop
        let deliver: @Sendable (any Sendable) -> Void
    }

    private let subscriptions = Mutex<[String: [Subscription]]>([:])

    public init() {}

    /// Calls `body` on the calling loop with every value sent to `topic` from now on.
    public func subscribe<Value: Sendable>(_ topic: Topic<Value>, _ body: @escaping (Value) -> Void) {
        guard let loop = EventLoop.current else { preconditionFailure("subscribed off a loop") }
        let bound = LoopBound(body, loop: loop)
        let subscription = Subscription(loop: loop) { value in
            if let value = value as? Value { bound.value(value) }
        }
        subscriptions.withLock { $0[topic.name, default: []].append(subscription) }
    }

    /// Sends `value` to all loops, the calling one included: there it is delivered at once.
    public func send<Value: Sendable>(_ value: Value, to topic: Topic<Value>) {
        for subscription in subscriptions.withLock({ $0[topic.name] ?? [] }) {
            if subscription.loop.isCurrent {
                subscription.deliver(value)
            } else {
                subscription.loop.send { subscription.deliver(value) }
            }
        }
    }

    /// A name and the type of what is sent under it.
    public struct Topic<Value: Sendable>: Sendable {
        let name: String

        public init(_ name: String) { self.name = name }
    }
}
