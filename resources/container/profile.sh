# A login shell sets PATH anew (profile(5)); the wrappers of the agents stay in front of it.
case :$PATH: in
  :/etc/terok/bin:*) ;;
  *) PATH=/etc/terok/bin:$PATH ;;
esac
