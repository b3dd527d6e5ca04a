import EventLoops
import Glibc

/// Accepts connections from one listening socket.
final class Listener {
    private static let perTick = 128
    /// How long to wait when the process has no descriptor left; others must close first.
    private static let pauseUs: Int64 = 100_000

    private let loop: EventLoop
    private let descriptor: Int32
    private let accepted: (Int32) -> Void
    private var watcher: Watcher?
    private var pause: LoopTimer?

    init(loop: EventLoop, descriptor: Int32, _ accepted: @escaping (Int32) -> Void) {
        self.loop = loop
        self.descriptor = descriptor
        self.accepted = accepted
    }

    func start() {
        let watcher = Watcher(loop: loop, descriptor: descriptor) { [unowned self] _ in accept(atMost: Listener.perTick)
        }
        self.watcher = watcher
        watcher.start()
    }

    /// Accepts all that have been waiting, and closes the socket.
    func finish() {
        accept(atMost: .max)
        pause = nil
        watcher?.stop()
        watcher = nil
        close(descriptor)
    }

    private func accept(atMost limit: Int) {
        for _ in 0..<limit {
            do throws(Sockets.Failure) {
                guard let connection = try Sockets.accept(descriptor) else { return }
                accepted(connection)
            } catch {
                watcher?.wantsReads = false
                pause = loop.after(us: Listener.pauseUs) { [unowned self] in
                    watcher?.wantsReads = true
                }
                return
            }
        }
    }
}
