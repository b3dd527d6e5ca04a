import CCurl
import EventLoops

/// libcurl's many transfers on one event loop: it tells us which sockets and what time it waits for, we tell it when they
/// come. Nothing here waits, which holds for HTTP and not for mail (`MailThreads`). Connections are kept and used again.
final class TransferLoop {
    private let loop: EventLoop
    private let multi: UnsafeMutableRawPointer
    private var transfers: [UnsafeMutableRawPointer: Transfer] = [:]
    private var watchers: [Int32: Watcher] = [:]
    private var timer: LoopTimer?

    /// How many connections are kept open at most for the next transfer.
    private static let keptConnections = 100

    init(loop: EventLoop) {
        self.loop = loop
        EasyHandle.startLibrary()
        multi = curl_multi_init()!
        qm_curl_multi_set_number(multi, CURLMOPT_MAXCONNECTS, TransferLoop.keptConnections)
        qm_curl_multi_callbacks(multi, onSocket, onTimer, Unmanaged.passUnretained(self).toOpaque())
        timer = LoopTimer(loop: loop) { [unowned self] in act(-1, 0) }
    }

    deinit {
        // From here on it must not call back into an object that is going.
        qm_curl_multi_callbacks(multi, nil, nil, nil)
        for watcher in watchers.values { watcher.stop() }
        for easy in transfers.keys { curl_multi_remove_handle(multi, easy) }
        curl_multi_cleanup(multi)
    }

    /// Begins a transfer; its `completion` is called when it is over, never before this returns.
    func start(_ transfer: Transfer) {
        transfers[transfer.easy.raw] = transfer
        curl_multi_add_handle(multi, transfer.easy.raw)
    }

    /// Ends a transfer at once, unless it is over.
    func cancel(_ transfer: Transfer) { end(transfer.easy.raw, .failure(.cancelled)) }

    // MARK: Inside

    /// Tells libcurl what has happened to a socket, or with -1 that its time has come.
    private func act(_ socket: Int32, _ events: Int32) {
        var running: Int32 = 0
        curl_multi_socket_action(multi, socket, events, &running)
        var code = CURLE_OK
        while let easy = qm_curl_multi_ended(multi, &code) {
            if let transfer = transfers[easy] { end(easy, transfer.ending(code)) }
        }
    }

    private func end(_ easy: UnsafeMutableRawPointer, _ ending: Transfer.Ending) {
        guard let transfer = transfers.removeValue(forKey: easy) else { return }
        curl_multi_remove_handle(multi, easy)
        let completion = transfer.completion
        transfer.completion = nil
        completion?(ending)
    }

    fileprivate func socketChanged(_ socket: Int32, _ what: Int32) {
        guard what != CURL_POLL_REMOVE else {
            watchers.removeValue(forKey: socket)?.stop()
            return
        }
        let watcher = watchers[socket] ?? watch(socket)
        watcher.wantsReads = what & CURL_POLL_IN != 0
        watcher.wantsWrites = what & CURL_POLL_OUT != 0
    }

    private func watch(_ socket: Int32) -> Watcher {
        let watcher = Watcher(loop: loop, descriptor: socket) { [unowned self] readiness in
            act(
                socket,
                (readiness.contains(.read) ? CURL_CSELECT_IN : 0) | (readiness.contains(.write) ? CURL_CSELECT_OUT : 0))
        }
        watcher.start()
        watchers[socket] = watcher
        return watcher
    }

    /// libcurl must not be called from here, not even for a time that has come already.
    fileprivate func timerChanged(_ delayMs: Int) {
        if delayMs < 0 { timer?.cancel() } else { timer?.start(afterUs: Int64(delayMs) * 1000) }
    }
}

private func onSocket(
    _ easy: UnsafeMutableRawPointer?, _ socket: curl_socket_t, _ what: Int32, _ context: UnsafeMutableRawPointer?,
    _ own: UnsafeMutableRawPointer?
) -> Int32 {
    Unmanaged<TransferLoop>.fromOpaque(context!).takeUnretainedValue().socketChanged(socket, what)
    return 0
}

private func onTimer(
    _ multi: UnsafeMutableRawPointer?, _ delayMs: Int, _ context: UnsafeMutableRawPointer?
) -> Int32 {
    Unmanaged<TransferLoop>.fromOpaque(context!).takeUnretainedValue().timerChanged(delayMs)
    return 0
}
