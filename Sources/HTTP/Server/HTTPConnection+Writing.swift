import Bytes
import EventLoops
import Glibc

extension HTTPConnection {
    /// Offers the operating system all that is final. It may close the connection.
    func write() {
        guard let output = buffers?.output, committed > 0 else { return }
        let count = send(descriptor, output.view.base, committed, Int32(MSG_NOSIGNAL))
        if count < 0 {
            if errno == EAGAIN { stall() } else if errno != EINTR { close() }
            return
        }
        output.consume(count)
        committed -= count
        if committed > 0 {
            stall()
        } else if isStalled {
            isStalled = false
            watcher.wantsWrites = false
        }
        exchange?.stream?.outputDrained()
    }

    /// The client reads more slowly than it is answered; each byte it takes gives it `bodyUs` more.
    private func stall() {
        isStalled = true
        watcher.wantsWrites = true
        beganStallUs = server.loop.nowUs
        updateDeadline()
    }
}
