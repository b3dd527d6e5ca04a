import Bytes
import EventLoops
import Glibc

extension RedisLink {
    /// What is still to be confirmed before a subscription stands.
    struct Confirmations {
        var missing: Int
        let finished: (Bool) -> Void
    }

    /// Turns the link into a subscription: from now on it only hears, through `onMessage`. Suspends until Redis has
    /// confirmed every channel.
    func subscribe(_ channels: [String]) async throws(RedisError) {
        writer.buffer.removeAll()
        writer.command(1 + channels.count)
        writer.argument("SUBSCRIBE" as StaticString)
        for channel in channels { writer.argument(channel) }
        guard let descriptor = beginSubscription(writer.view) else { throw .unavailable }
        keepAlive(descriptor)
        let isConfirmed = await withUnsafeContinuation { (continuation: UnsafeContinuation<Bool, Never>) in
            confirmations = Confirmations(missing: channels.count) { continuation.resume(returning: $0) }
        }
        if !isConfirmed { throw .lost }
    }

    /// One more channel is confirmed.
    func confirmed() {
        confirmations?.missing -= 1
        guard let waiting = confirmations, waiting.missing == 0 else { return }
        confirmations = nil
        waiting.finished(true)
    }

    /// Nothing is ever sent on a subscription, so only the operating system can notice that the other side is gone: it
    /// asks after 15 s of silence and gives up after three more questions. A unix socket's other side cannot get lost.
    ///
    /// hiredis's own `redisEnableKeepAlive` marks the whole connection as failed on a unix socket.
    private func keepAlive(_ descriptor: Int32) {
        for (level, name, value) in [
            (SOL_SOCKET, SO_KEEPALIVE, 1), (Int32(IPPROTO_TCP), TCP_KEEPIDLE, 15),
            (Int32(IPPROTO_TCP), TCP_KEEPINTVL, 5), (Int32(IPPROTO_TCP), TCP_KEEPCNT, 3),
        ] {
            var value = Int32(value)
            setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
        }
    }
}
