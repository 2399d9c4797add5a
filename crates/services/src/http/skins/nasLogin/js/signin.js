/* {{build}} */
(function () {
  var clock = document.getElementById('clock'), day = document.getElementById('day');
  function tick() {
    var now = new Date();
    clock.textContent = now.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
    day.textContent = now.toLocaleDateString('en-US', { weekday: 'long', month: 'long', day: 'numeric' });
  }
  tick();
  setInterval(tick, 5000);
}());
